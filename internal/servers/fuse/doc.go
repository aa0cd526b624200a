// Package fuse is the kernel's side of FUSE: a [FS] that speaks the protocol to
// a daemon, which cannot tell it from Linux. The daemon is a host process that
// has a socket in place of /dev/fuse ([Attach]), or a program in the box that
// has opened the box's /dev/fuse ([Device]) and called mount(2).
//
// A daemon is not trusted. Each length and id that it sends is checked; an
// answer that makes no sense ends its own mount (ENOTCONN), and one that does
// not come keeps nobody who is to be ended. The outcomes are those of package
// vfs: what the daemon never got has not happened, a reply of EINTR is an
// interrupted call, and what was started and abandoned (a second after its
// interrupt, at once for a kill, or when the daemon dies) is in doubt. What an
// abandoned request makes later is given back: handles are released, names
// forgotten, locks unlocked.
//
// The package imports vfs and x/sys.
//
// Lock order: handleLock (by open file), node.data.mu, node.mu, FS.mu, conn.mu,
// request.mu, then a vfs.Queue's. No lock but the first is held while a daemon
// is asked.
package fuse
