package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hati-os/hati"
	"golang.org/x/sys/unix"
)

// A running hati can be asked what its box does, by the same user: it listens on
// a socket in a directory of that user's, and gives a snapshot to whoever
// connects. Guests cannot get at it: sockets of the host are none in a box.

// snapshot is what hati ps is told.
type snapshot struct {
	PID        int // of hati
	Command    []string
	Started    time.Time
	Processes  []hati.ProcessInfo
	Operations []hati.Operation
}

const (
	socketSuffix  = ".sock"
	answerTime    = 2 * time.Second
	largeSnapshot = 64 << 20
)

// controlDir returns the user's directory of sockets, and makes it if it is not
// there. It fails if others could have put something in.
func controlDir() (string, error) {
	dir := filepath.Join(os.TempDir(), "hati-"+strconv.Itoa(os.Geteuid()))
	if run := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(run) {
		dir = filepath.Join(run, "hati")
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return "", fmt.Errorf("%s: not a directory of yours that is closed to others (remove it)", dir)
	}
	return dir, nil
}

// control answers hati ps.
type control struct {
	path     string
	listener *net.UnixListener
	about    snapshot
	serving  bool
	done     chan struct{} // serve has ended
}

// newControl makes the socket.
func newControl(command []string) (*control, error) {
	dir, err := controlDir()
	if err != nil {
		return nil, err
	}
	c := &control{path: filepath.Join(dir, strconv.Itoa(os.Getpid())+socketSuffix), done: make(chan struct{}),
		about: snapshot{PID: os.Getpid(), Command: command, Started: time.Now()}}
	// Readers remove sockets on which nobody listens: it gets its name when
	// somebody does.
	early := filepath.Join(dir, "."+strconv.Itoa(os.Getpid()))
	_ = os.Remove(early)
	if c.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: early, Net: "unix"}); err != nil {
		return nil, err
	}
	c.listener.SetUnlinkOnClose(false)
	if err := os.Rename(early, c.path); err != nil {
		c.listener.Close()
		return nil, err
	}
	return c, nil
}

// controlVar hands the socket on to the program that hati.Isolate starts anew,
// which can make none: its descriptor and its name.
const controlVar = "HATI_CONTROL"

// openControl makes the socket, or takes the one that was made before this
// program was started anew. With again it is about to be.
func openControl(command []string, again bool) (*control, error) {
	if v := os.Getenv(controlVar); v != "" {
		os.Unsetenv(controlVar)
		return adoptControl(v, command)
	}
	c, err := newControl(command)
	if err != nil || !again {
		return c, err
	}
	raw, err := c.listener.SyscallConn()
	if err != nil {
		return c, nil
	}
	_ = raw.Control(func(fd uintptr) {
		if kept, err := unix.FcntlInt(fd, unix.F_DUPFD, 3); err == nil { // not closed by exec
			os.Setenv(controlVar, strconv.Itoa(kept)+" "+c.path)
		}
	})
	return c, nil
}

func adoptControl(v string, command []string) (*control, error) {
	number, path, _ := strings.Cut(v, " ")
	fd, err := strconv.Atoi(number)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: %w", controlVar, v, err)
	}
	unix.CloseOnExec(fd)
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("%s=%q is no socket of hati", controlVar, v)
	}
	u.SetUnlinkOnClose(false)
	return &control{path: path, listener: u, done: make(chan struct{}),
		about: snapshot{PID: os.Getpid(), Command: command, Started: time.Now()}}, nil
}

// start answers until close.
func (c *control) start(box *hati.Box) {
	c.serving = true
	go c.serve(box)
}

func (c *control) serve(box *hati.Box) {
	defer close(c.done)
	for {
		conn, err := c.listener.AcceptUnix()
		if err != nil {
			return
		}
		if sameUser(conn) {
			s := c.about
			s.Processes, s.Operations = box.Processes(), box.Operations()
			_ = conn.SetDeadline(time.Now().Add(answerTime))
			_ = json.NewEncoder(conn).Encode(s)
		}
		conn.Close()
	}
}

// close ends serve, if it was called, and takes the name away.
func (c *control) close() {
	c.listener.Close()
	_ = os.Remove(c.path)
	if c.serving {
		<-c.done
	}
}

// sameUser reports whether the other side is a process of this user, or root.
func sameUser(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	ok := false
	_ = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		ok = err == nil && (int(cred.Uid) == os.Geteuid() || cred.Uid == 0)
	})
	return ok
}

// boxes asks all running hatis of this user. Sockets on which nobody listens any
// more are removed.
func boxes() ([]snapshot, error) {
	dir, err := controlDir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var all []snapshot
	for _, e := range entries {
		if e.Type() != os.ModeSocket || !strings.HasSuffix(e.Name(), socketSuffix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		s, err := ask(path)
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			_ = os.Remove(path)
		case errors.Is(err, syscall.ENOENT), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			// It has just ended.
		case err != nil:
			fmt.Fprintf(os.Stderr, "hati: ps: %s: %v\n", path, err)
		default:
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b snapshot) int { return a.PID - b.PID })
	return all, nil
}

func ask(path string) (s snapshot, err error) {
	conn, err := net.DialTimeout("unix", path, answerTime)
	if err != nil {
		return s, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(answerTime))
	return s, json.NewDecoder(io.LimitReader(conn, largeSnapshot)).Decode(&s)
}
