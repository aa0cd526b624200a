package hostio

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// Ioctls whose names x/sys lacks, and termio's size (ioctl_tty(2)).
const (
	tcgeta, tcseta, tcsetaw, tcsetaf = 0x5405, 0x5406, 0x5407, 0x5408
	tcsbrkp                          = 0x5425
	sizeTermios                      = 36
	sizeTermios2                     = 44
	sizeTermio                       = 18
)

// out and in are the ioctls that pass through, with the size of what the host
// writes or reads.
var out = map[uint32]int{
	unix.TCGETS: sizeTermios, unix.TCGETS2: sizeTermios2, tcgeta: sizeTermio,
	unix.TIOCGWINSZ: 8, unix.TIOCINQ: 4, unix.TIOCOUTQ: 4, unix.TIOCGETD: 4,
	unix.TIOCMGET: 4, unix.TIOCGSOFTCAR: 4, unix.TIOCGPTN: 4, unix.TIOCGDEV: 4,
	unix.TIOCGPKT: 4, unix.TIOCGPTLCK: 4,
}

var in = map[uint32]int{
	unix.TCSETS: sizeTermios, unix.TCSETS2: sizeTermios2, tcseta: sizeTermio,
	unix.TIOCSWINSZ: 8, unix.TIOCMSET: 4, unix.TIOCMBIS: 4, unix.TIOCMBIC: 4,
	unix.TIOCSPTLCK: 4, unix.TIOCPKT: 4,
}

// waiting are the ioctls that first wait for output: what to do after that, and
// whether to flush the input as well.
var waiting = map[uint32]struct {
	set   uint32
	flush bool
}{
	unix.TCSETSW: {unix.TCSETS, false}, unix.TCSETSF: {unix.TCSETS, true},
	unix.TCSETSW2: {unix.TCSETS2, false}, unix.TCSETSF2: {unix.TCSETS2, true},
	tcsetaw: {tcseta, false}, tcsetaf: {tcseta, true},
}

// Ioctl passes on what concerns the terminal alone. Those of job control are
// POSIX's; what would reach further into the host is refused as Linux refuses
// it to the unprivileged: TIOCSTI is EIO, TIOCSETD EINVAL but for the same line
// discipline, other commands ENOTTY.
func (c *Console) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	if size, ok := out[cmd]; ok {
		return 0, ioctlOut(c.fd, cmd, arg, size)
	}
	if size, ok := in[cmd]; ok {
		return 0, c.ioctlIn(cmd, arg, size)
	}
	if w, ok := waiting[cmd]; ok {
		return 0, c.setAfterDrain(ctx, w.set, w.flush, arg)
	}
	switch cmd {
	case unix.TCXONC, unix.TCFLSH:
		return 0, c.ioctlNumber(cmd, arg.Value())
	case unix.TCSBRK, tcsbrkp:
		if err := c.drain(ctx); err != nil || cmd == unix.TCSBRK && arg.Value() != 0 {
			return 0, err
		}
		return 0, c.ioctlNumber(cmd, arg.Value())
	case unix.TIOCEXCL, unix.TIOCNXCL:
		c.n.terminal.exclusive.Store(cmd == unix.TIOCEXCL)
		return 0, nil
	case unix.TIOCGEXCL:
		var v [4]byte
		if c.n.terminal.exclusive.Load() {
			v[0] = 1
		}
		return 0, arg.WriteAt(v[:], 0)
	case unix.TIOCSETD:
		return 0, c.setDiscipline(arg)
	case unix.TIOCSTI:
		return 0, syscall.EIO
	}
	return 0, syscall.ENOTTY
}

// ioctlOut has the host fill size bytes and gives them to the guest.
func ioctlOut(fd int, cmd uint32, arg vfs.IoctlArg, size int) error {
	var buf [64]byte
	if err := ioctlBuf(fd, cmd, buf[:]); err != nil {
		return err
	}
	return arg.WriteAt(buf[:size], 0)
}

func (c *Console) ioctlIn(cmd uint32, arg vfs.IoctlArg, size int) error {
	var buf [64]byte
	if err := arg.ReadAt(buf[:size], 0); err != nil {
		return err
	}
	_, err := hostwait.Retry(func() (int, error) { return 0, ioctlBuf(c.fd, cmd, buf[:]) })
	return err
}

func (c *Console) ioctlNumber(cmd uint32, v uint64) error {
	_, err := hostwait.Retry(func() (int, error) { return 0, ioctlValue(c.fd, cmd, v) })
	return err
}

func (c *Console) setAfterDrain(ctx context.Context, set uint32, flush bool, arg vfs.IoctlArg) error {
	if err := c.drain(ctx); err != nil {
		return err
	}
	if flush {
		if err := c.ioctlNumber(unix.TCFLSH, unix.TCIFLUSH); err != nil {
			return err
		}
	}
	return c.ioctlIn(set, arg, in[set])
}

func (c *Console) setDiscipline(arg vfs.IoctlArg) error {
	var want, have [4]byte
	if err := arg.ReadAt(want[:], 0); err != nil {
		return err
	}
	if err := ioctlBuf(c.fd, unix.TIOCGETD, have[:]); err != nil {
		return err
	}
	if want != have {
		return syscall.EINVAL
	}
	return nil
}
