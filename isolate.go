package hati

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// Isolation says where the host's files are served.
type Isolation int

const (
	// NotIsolated: the host's files are served in this process.
	NotIsolated Isolation = iota
	// IsolateServers: each directory of the host is served by a process of its own,
	// which can reach nothing else. They end with this process, however it ends.
	// Programs that use it call [Init] first in main. See also [Isolate].
	IsolateServers
)

// serverName is the program name under which this program is a server.
const serverName = "hati-server"

var initialised atomic.Bool

// Init turns the process into a server if it was started as one by a box with an
// [Isolation], and then never returns. Otherwise it returns at once.
func Init() {
	initialised.Store(true)
	if len(os.Args) != 1 || os.Args[0] != serverName {
		return
	}
	var s serverSpec
	spec := os.NewFile(4, "specification")
	err := json.NewDecoder(spec).Decode(&s)
	spec.Close()
	if err == nil {
		err = s.answer(os.NewFile(3, "lane"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hati: server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// answer serves the one lane whose socket is f.
func (s *serverSpec) answer(f *os.File) error {
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		return err
	}
	conn, ok := c.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("descriptor 3 is no unix socket: %w", syscall.EINVAL)
	}
	fs, err := s.open()
	if err == nil {
		err = s.confine()
	}
	end, err := lane.Answer(conn, remote.Config(s.Kind), err)
	if err != nil {
		return err
	}
	return remote.Serve(context.Background(), end, fs, s.options())
}

// hostFS serves a directory of the host, in this process or in another.
func (b *Box) hostFS(dir string, o host.Options) (vfs.FS, error) {
	if adopted != nil {
		return b.adopt(dir, o.ReadOnly)
	}
	if b.isolation == NotIsolated {
		h, err := host.New(dir, o)
		if err != nil {
			return nil, err
		}
		b.servers = append(b.servers, h.Close)
		return h, nil
	}
	s := serverSpec{Kind: "host", Args: []string{dir}, ReadOnly: o.ReadOnly, Hidden: o.Hidden}
	fs, stop, err := s.start()
	if err != nil {
		return nil, fmt.Errorf("server for %s: %w", dir, err)
	}
	b.servers = append(b.servers, stop)
	return fs, nil
}

// startGrace is how long a server may take to open what it serves.
const startGrace = 30 * time.Second

// start runs a server in a process of its own; stop ends it.
func (s *serverSpec) start() (fs vfs.FS, stop func() error, err error) {
	cmd, ours, err := s.launch(startForLife)
	if err != nil {
		return nil, nil, err
	}
	return s.reach(cmd.Process, ours)
}

// launch starts a server's process by start and returns our end of its socket.
func (s *serverSpec) launch(start func(*exec.Cmd) error) (*exec.Cmd, *os.File, error) {
	if !initialised.Load() {
		return nil, nil, errors.New("hati.Init must be called first in main to isolate servers")
	}
	spec, err := s.file()
	if err != nil {
		return nil, nil, err
	}
	defer spec.Close()
	sv, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(sv[0]), "lane"), os.NewFile(uintptr(sv[1]), "lane")
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{serverName}
	cmd.Env = []string{} // nothing of ours is its business
	cmd.ExtraFiles = []*os.File{theirs, spec}
	cmd.Stderr = os.Stderr
	// A session of its own: the terminal's signals are not for it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := start(cmd); err != nil {
		ours.Close()
		return nil, nil, err
	}
	return cmd, ours, nil
}

// file returns the specification in a memory file: what is hidden in a host with
// many users is too long for an argument.
func (s *serverSpec) file() (*os.File, error) {
	fd, err := unix.MemfdCreate("hati-server", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "specification")
	if err = json.NewEncoder(f).Encode(s); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// reach asks a server's process for its files.
func (s *serverSpec) reach(p *os.Process, socket *os.File) (vfs.FS, func() error, error) {
	defer socket.Close()
	end := func() error {
		p.Kill() // it has nothing to save
		p.Wait()
		return nil
	}
	conn, err := net.FileConn(socket)
	if err != nil {
		end()
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), startGrace)
	defer cancel()
	l, err := lane.Connect(ctx, conn.(*net.UnixConn), remote.Config(fmt.Sprint(s.Kind, " ", s.Args)))
	var c *remote.Client
	if err == nil {
		c, err = remote.New(ctx, l)
	}
	if err != nil {
		end()
		return nil, nil, err
	}
	return c.FS(), func() error {
		c.Close()
		return end()
	}, nil
}

// The parent of a process that is to die with it must be a thread that lives as
// long as the program.
var starter struct {
	once sync.Once
	todo chan func()
}

// startForLife starts a command on a thread that never ends.
func startForLife(cmd *exec.Cmd) error {
	starter.once.Do(func() {
		starter.todo = make(chan func())
		go func() {
			runtime.LockOSThread()
			for f := range starter.todo {
				f()
			}
		}()
	})
	done := make(chan error)
	starter.todo <- func() { done <- cmd.Start() }
	return <-done
}

// cannotOpen is nil if the process cannot open a path: a right that was given up
// and is still there is an error that nobody would notice.
func cannotOpen(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err == nil {
		unix.Close(fd)
		return fmt.Errorf("this process could still open %s of the host", path)
	}
	return nil
}
