package confine

import (
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Access is what may be done with the files below a path.
type Access uint64

// The accesses. Devices are only opened and asked by ioctl; none of them allows
// to make one.
const (
	Read    Access = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	Write   Access = writeFile | unix.LANDLOCK_ACCESS_FS_REMOVE_DIR | unix.LANDLOCK_ACCESS_FS_REMOVE_FILE | unix.LANDLOCK_ACCESS_FS_MAKE_DIR | unix.LANDLOCK_ACCESS_FS_MAKE_REG | unix.LANDLOCK_ACCESS_FS_MAKE_SOCK | unix.LANDLOCK_ACCESS_FS_MAKE_FIFO | unix.LANDLOCK_ACCESS_FS_MAKE_SYM | unix.LANDLOCK_ACCESS_FS_REFER
	Ioctl   Access = unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	Execute Access = unix.LANDLOCK_ACCESS_FS_EXECUTE

	writeFile = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE
	// fileAccess is what a rule about a file, rather than a directory, can allow.
	fileAccess = unix.LANDLOCK_ACCESS_FS_READ_FILE | writeFile | Execute | Ioctl
	devices    = unix.LANDLOCK_ACCESS_FS_MAKE_CHAR | unix.LANDLOCK_ACCESS_FS_MAKE_BLOCK
)

// Rule allows an access to Path and all below it, or, with an empty Path, to the
// file behind FD. A Path that does not exist allows nothing. TCP, alone, allows that.
type Rule struct {
	Path   string
	FD     int
	Access Access
	TCP    bool
}

// LandlockVersion returns the kernel's Landlock version, 0 for none.
func LandlockVersion() int {
	v, e := landlockCreate(nil, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return v
}

// Files leaves the process no other files to open, make, rename or remove than
// the rules allow, and no TCP unless one allows it. Memory files, pipes, sockets and the like are not
// files in this sense. ErrUnsupported without Landlock.
//
// Each thread gets a domain of its own, and a thread cannot look into a process
// that another has started (ptrace, process_vm_readv). Who needs that uses
// [FilesOfThread] and exec.
func Files(rules ...Rule) error {
	set, err := ruleset(rules)
	if err != nil {
		return err
	}
	defer unix.Close(set)
	if err := NoNewPrivileges(); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	if err := everyThread(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); err != nil {
		return fmt.Errorf("confine: landlock: %w", err)
	}
	return nil
}

// FilesOfThread is Files for the calling thread alone, to which the goroutine is
// locked, and for the program that it becomes by exec.
func FilesOfThread(rules ...Rule) error {
	set, err := ruleset(rules)
	if err != nil {
		return err
	}
	defer unix.Close(set)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("confine: %w", err)
	}
	if _, _, e := unix.RawSyscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(set), 0, 0); e != 0 {
		return fmt.Errorf("confine: landlock: %w", e)
	}
	return nil
}

// ruleset makes a Landlock ruleset, which the caller closes.
func ruleset(rules []Rule) (int, error) {
	v := LandlockVersion()
	if v == 0 {
		return -1, fmt.Errorf("%w: the host's kernel has no Landlock (Linux 5.13)", ErrUnsupported)
	}
	handled := Read | Write | Execute | devices
	attr := unix.LandlockRulesetAttr{}
	switch {
	case v >= 5:
		handled |= Ioctl
	case v < 3:
		handled &^= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if v < 2 {
		handled &^= unix.LANDLOCK_ACCESS_FS_REFER
	}
	attr.Handled_access_fs = uint64(handled)
	tcp := func(r Rule) bool { return r.TCP }
	if v >= 4 && !slices.ContainsFunc(rules, tcp) {
		attr.Handled_access_net = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	}
	set, e := landlockCreate(&attr, 0)
	if e != 0 {
		return -1, fmt.Errorf("confine: landlock: %w", e)
	}
	for _, r := range rules {
		if r.TCP {
			continue
		}
		if err := r.add(set, handled); err != nil {
			unix.Close(set)
			return -1, fmt.Errorf("confine: landlock: %s: %w", r.Path, err)
		}
	}
	return set, nil
}

func (r *Rule) add(set int, handled Access) error {
	fd := r.FD
	if r.Path != "" {
		var err error
		fd, err = unix.Open(r.Path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err == unix.ENOENT || err == unix.ENOTDIR {
			return nil
		}
		if err != nil {
			return err
		}
		defer unix.Close(fd)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	access := r.Access & handled
	if st.Mode&unix.S_IFMT != unix.S_IFDIR {
		access &= fileAccess
	}
	if access == 0 {
		return nil
	}
	e := landlockAdd(set, &unix.LandlockPathBeneathAttr{Allowed_access: uint64(access), Parent_fd: int32(fd)})
	if e == unix.EBADFD && r.Path == "" {
		return nil // a pipe or socket, which Landlock does not restrict
	}
	if e != 0 {
		return e
	}
	return nil
}
