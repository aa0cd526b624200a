// Package mountcatch gives a host program that mounts a FUSE file system a
// channel instead: its mount(2), or that of fusermount, which it starts, never
// happens; the descriptor of /dev/fuse that it names becomes the channel. The
// program cannot tell the difference, but for the mount point, which stays as it
// is. It needs no root, and no /dev/fuse.
//
// A seccomp filter hands the calls to this process (seccomp_unotify(2)). It is
// no border: the program is trusted as much as its user, and whatever the filter
// does not name happens as ever.
//
// The package imports x/sys. It has no locks: one goroutine answers.
package mountcatch
