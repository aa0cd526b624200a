package cancel_test

import (
	"context"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/cancel"
)

// ioctlContests wait in an ioctl that needs no device and no rights, and takes something that can be counted: the
// notification of a seccomp filter that one of our own threads has put on itself.
var ioctlContests = []contest{
	{"ioctl", 1, func(t *testing.T) contestant {
		n := newNotifier(t)
		var got notification
		return contestant{
			prepare: func() { got = notification{} },
			call: func(ctx context.Context) error {
				for {
					_, err := cancel.Ioctl(ctx, n.fd, notifyReceive, unsafe.Pointer(&got))
					if err != unix.ENOENT { // a signal took the notification back; it comes again
						return err
					}
				}
			},
			complete: func() { n.asks <- struct{}{} },
			settle: func(done bool) {
				if done == (got.id == 0) {
					t.Fatalf("done %v, notification %d", done, got.id)
				}
				for !n.answer(got.id) {
					got = notification{}
					if _, err := cancel.Ioctl(context.Background(), n.fd, notifyReceive, unsafe.Pointer(&got)); err != unix.ENOENT {
						check(err)
					}
				}
				<-n.answered
			},
		}
	}},
}

const (
	notifyReceive = 0xc0502100
	notifySend    = 0xc0182101
)

// notification is struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	data       [8]uint64
}

// notifier has a thread whose every getppid waits until it is answered.
type notifier struct {
	fd       int
	asks     chan struct{}
	answered chan struct{}
}

func newNotifier(t *testing.T) *notifier {
	n := &notifier{asks: make(chan struct{}), answered: make(chan struct{})}
	fds, errs := make(chan int), make(chan error)
	go func() {
		runtime.LockOSThread() // for ever: the filter stays with the thread
		fd, err := filterSelf()
		if err != nil {
			errs <- err
			return
		}
		fds <- fd
		for range n.asks {
			_, _, _ = syscall.Syscall(unix.SYS_GETPPID, 0, 0, 0)
			n.answered <- struct{}{}
		}
	}()
	select {
	case n.fd = <-fds:
	case err := <-errs:
		t.Skip("seccomp: ", err)
	}
	onEnd(t, func() { close(n.asks); check(unix.Close(n.fd)) })
	return n
}

func filterSelf() (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_GETPPID, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

// answer answers the notification, unless it is none or a signal has taken it back: then there will be another.
func (n *notifier) answer(id uint64) bool {
	if id == 0 {
		return false
	}
	response := struct {
		id    uint64
		value int64
		error int32
		flags uint32
	}{id: id}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(n.fd), notifySend, uintptr(unsafe.Pointer(&response)))
	if errno != 0 && errno != unix.ENOENT {
		panic(errno)
	}
	return errno == 0
}
