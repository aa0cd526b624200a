package lane

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// How many clients a listener deals with at a time: those that have not said what
// they want, and those that have and wait for Accept.
const (
	greetMax = 64
	readyMax = 64
)

// Listener accepts lanes at a path. Its methods may be called concurrently.
type Listener struct {
	cfg   Config
	ln    *net.UnixListener
	ready chan *Lane
	ended chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
	spare int // a descriptor to be able to turn clients away; run's own

	mu     sync.Mutex
	silent []*newcomer // in the order of their coming; nil after Close
	closed bool
}

// newcomer is a client that has connected and not said yet what it wants.
type newcomer struct {
	conn *net.UnixConn
	uid  int
}

// Listen makes a socket at path, with permissions perm: who may write to it may
// connect. cfg bounds what a client may ask for, also for the lanes that it sends
// over its own. An existing file is an error; see [ListenAnew].
func Listen(path string, perm fs.FileMode, cfg Config) (*Listener, error) {
	cfg = cfg.withDefaults()
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, socketError("listen at", path, err)
	}
	if err := os.Chmod(path, perm); err != nil {
		ln.Close()
		return nil, fmt.Errorf("lane: %w", err)
	}
	l := &Listener{cfg: cfg, ln: ln, ready: make(chan *Lane), ended: make(chan struct{}), spare: -1}
	l.reserve()
	l.wg.Add(1)
	go l.run()
	return l, nil
}

// socketError names what was done at a path, why it failed, and what to do.
func socketError(what, path string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		err = sys.Err
	}
	hint := ""
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		hint = " (something is there; ListenAnew replaces what a dead server left)"
	case errors.Is(err, unix.ECONNREFUSED):
		hint = " (no server listens there; one may have died)"
	case errors.Is(err, unix.ENOENT) && what == "connect to":
		hint = " (no server has made it)"
	case errors.Is(err, unix.EPROTOTYPE):
		hint = " (a socket of another type: not a lane server's)"
	case errors.Is(err, unix.EINVAL) && len(path) > 107:
		hint = " (a socket's path has 107 bytes at most)"
	}
	return fmt.Errorf("lane: %s %s: %w%s", what, path, err, hint)
}

// ListenAnew is Listen, but replaces a socket that a server left which is gone. One
// at which somebody listens is an error.
func ListenAnew(path string, perm fs.FileMode, cfg Config) (*Listener, error) {
	l, err := Listen(path, perm, cfg)
	if !errors.Is(err, unix.EADDRINUSE) {
		return l, err
	}
	if !stale(path) {
		return nil, fmt.Errorf("lane: listen at %s: %w (a server is there, or a file that is no lane's socket)", path, unix.EADDRINUSE)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("lane: an old socket: %w", err)
	}
	return Listen(path, perm, cfg)
}

// stale reports whether path is a socket at which nobody listens. Connecting to a
// file of another kind is refused, too.
func stale(path string) bool {
	if st, err := os.Lstat(path); err != nil || st.Mode().Type() != fs.ModeSocket {
		return false
	}
	c, err := net.Dial("unixpacket", path)
	if err == nil {
		c.Close()
	}
	return errors.Is(err, unix.ECONNREFUSED)
}

// run accepts connections. Each greeting has a goroutine for as long as it
// takes, so that a client that says nothing delays nobody.
func (l *Listener) run() {
	defer l.wg.Done()
	defer l.giveSpare()
	slots := make(chan struct{}, greetMax+readyMax)
	for {
		select {
		case slots <- struct{}{}:
		case <-l.ended:
			return
		}
		conn, err := l.ln.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if scarce(err) {
				l.turnAway()
			}
			<-slots
			continue
		}
		n := l.admit(conn)
		if n == nil {
			<-slots
			continue
		}
		l.wg.Add(1)
		go func() {
			defer l.wg.Done()
			defer func() { <-slots }()
			lane, err := greet(conn, l.cfg)
			l.heard(n)
			if err != nil {
				return
			}
			select {
			case l.ready <- lane:
			case <-l.ended:
				lane.Close()
			}
		}()
	}
}

// admit notes a client that has connected. When too many have said nothing, the
// oldest of the user with the most of them is hung up on: so a user who connects
// and says nothing, over and over, keeps out nobody else.
func (l *Listener) admit(conn *net.UnixConn) *newcomer {
	n := &newcomer{conn: conn, uid: -1}
	if raw, err := conn.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			if c, err := peerCredentials(int(fd)); err == nil {
				n.uid = c.UID
			}
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		conn.Close()
		return nil
	}
	if len(l.silent) >= greetMax {
		count := map[int]int{}
		most := l.silent[0].uid
		for _, s := range l.silent {
			if count[s.uid]++; count[s.uid] > count[most] {
				most = s.uid
			}
		}
		i := slices.IndexFunc(l.silent, func(s *newcomer) bool { return s.uid == most })
		l.silent[i].conn.Close()
		l.silent = slices.Delete(l.silent, i, i+1)
	}
	l.silent = append(l.silent, n)
	return n
}

// heard forgets a client that is silent no more.
func (l *Listener) heard(n *newcomer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i := slices.Index(l.silent, n); i >= 0 {
		l.silent = slices.Delete(l.silent, i, i+1)
	}
}

func scarce(err error) bool { return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) }

// turnAway refuses the next client if the process has no descriptors by then: with
// the one that was kept for this. Else it would wait, and run would turn.
func (l *Listener) turnAway() {
	// accept(2) says that there are none although nobody wants in. This wait holds a
	// thread: it is for a process in need. Close ends it.
	l.control(func(fd int) {
		for {
			if _, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1); err != unix.EINTR {
				return
			}
		}
	})
	if fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
		unix.Close(fd) // there are some again
		return
	}
	l.giveSpare()
	if conn, err := l.ln.AcceptUnix(); err == nil {
		conn.Close()
	}
	l.reserve()
	if l.spare >= 0 {
		return
	}
	// Somebody else was quicker. Nobody tells when a descriptor is free.
	timer := time.NewTimer(100 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ended:
	}
	l.reserve()
}

// control calls f with the listening socket, unless it is closed.
func (l *Listener) control(f func(fd int)) {
	if raw, err := l.ln.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}

func (l *Listener) reserve() {
	if fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC); err == nil {
		l.spare = fd
	}
}

func (l *Listener) giveSpare() {
	if l.spare >= 0 {
		unix.Close(l.spare)
		l.spare = -1
	}
}

// Accept returns the next lane; ErrClosed after Close.
func (l *Listener) Accept(ctx context.Context) (*Lane, error) {
	select {
	case lane := <-l.ready:
		return lane, nil
	case <-l.ended:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close stops listening and removes the path. Lanes stay.
func (l *Listener) Close() error {
	l.once.Do(func() {
		close(l.ended)
		l.control(func(fd int) { unix.Shutdown(fd, unix.SHUT_RDWR) })
		l.ln.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		l.closed = true
		for _, n := range l.silent {
			n.conn.Close()
		}
		l.silent = nil
	})
	l.wg.Wait()
	return nil
}

// Serve accepts lanes and has h answer their requests until ctx ends; then all
// are shut down and the listener is closed. connected, which may be nil, is told
// of each lane before its first request is handled.
func (l *Listener) Serve(ctx context.Context, h Handler, o ServeOptions, connected func(*Lane)) error {
	lanes := make(map[*Lane]struct{})
	var mu sync.Mutex
	defer l.Close()
	for {
		lane, err := l.Accept(ctx)
		if err != nil {
			mu.Lock()
			all := lanes
			lanes = nil
			mu.Unlock()
			grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.cfg.Grace)
			defer cancel()
			var wg sync.WaitGroup
			for lane := range all {
				wg.Go(func() { lane.Shutdown(grace) })
			}
			wg.Wait()
			return err
		}
		if connected != nil {
			connected(lane)
		}
		mu.Lock()
		lanes[lane] = struct{}{}
		mu.Unlock()
		lane.whenEnded(func() {
			mu.Lock()
			delete(lanes, lane)
			mu.Unlock()
		})
		lane.Handle(h, o)
	}
}
