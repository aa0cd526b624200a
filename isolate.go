package hati

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// which can reach nothing else. They end with this process, however it ends. One
	// that has died is started anew when it is used next.
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
	if len(os.Args) != 1 {
		return
	}
	var err error
	switch os.Args[0] {
	default:
		return
	case keeperName:
		err = keep()
	case serverName:
		var s serverSpec
		if err = readSpec(&s); err == nil {
			err = s.answer(os.NewFile(3, "lane"))
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hati: server:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// readSpec reads what the process was started for.
func readSpec(s any) error {
	f := os.NewFile(4, "specification")
	defer f.Close()
	return json.NewDecoder(f).Decode(s)
}

// answer serves the one lane whose socket is f.
func (s *serverSpec) answer(f *os.File) error {
	conn, err := unixConn(f)
	if err != nil {
		return err
	}
	v, err := s.open()
	defer s.end()
	if err == nil {
		err = s.confine()
	}
	end, err := lane.Answer(conn, s.protocol(s.Kind), err)
	if err != nil {
		return err
	}
	return v.serve(context.Background(), end)
}

// hostFS serves a directory of the host, in this process or in another.
func (b *Box) hostFS(dir string, o host.Options) (vfs.FS, error) {
	if adopted == nil && b.isolation == NotIsolated {
		h, err := host.New(dir, o)
		if err != nil {
			return nil, err
		}
		b.servers = append(b.servers, h.Close)
		return h, nil
	}
	return b.serverOf(&serverSpec{Kind: "host", Args: []string{dir}, ReadOnly: o.ReadOnly, Hidden: o.Hidden})
}

// serverOf is a server in a process of its own, which it starts unless this program
// is isolated: then that was done before.
func (b *Box) serverOf(s *serverSpec) (vfs.FS, error) {
	c, err := clientOf(b, s, remote.Redial)
	if err != nil {
		return nil, fmt.Errorf("server for %s: %w", s.Args[0], err)
	}
	return c.FS(), nil
}

// networkOf is serverOf for a network.
func (b *Box) networkOf(s *serverSpec) (vfs.Network, error) {
	c, err := clientOf(b, s, remote.RedialNetwork)
	if err != nil {
		return nil, fmt.Errorf("server for the network %s: %w", s.Args[0], err)
	}
	return c, nil
}

// startGrace is how long a server may take to open what it serves.
const startGrace = 30 * time.Second

// next starts a server in a process of its own, now, and anew when it has died and is
// used.
func (s *serverSpec) next() (*instance, error) {
	cmd, socket, err := s.launch(startForLife)
	if err != nil {
		return nil, err
	}
	return s.instance(cmd.Process, socket), nil
}

// launch starts a server's process by start and returns our end of its socket.
func (s *serverSpec) launch(start func(*exec.Cmd) error) (*exec.Cmd, *os.File, error) {
	env := []string{} // nothing of ours is its business
	if s.FUSE != nil {
		env = os.Environ() // but the daemon's
	}
	return launch(serverName, s, env, start)
}

// launch starts this program as what name says.
func launch(name string, what any, env []string, start func(*exec.Cmd) error) (*exec.Cmd, *os.File, error) {
	if !initialised.Load() {
		return nil, nil, errors.New("hati.Init must be called first in main to isolate servers")
	}
	spec, err := specFile(what)
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
	cmd.Args = []string{name}
	cmd.Env = env
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

// specFile returns a specification in a memory file: what is hidden in a host with
// many users is too long for an argument.
func specFile(what any) (*os.File, error) {
	fd, err := unix.MemfdCreate("hati-server", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "specification")
	if err = json.NewEncoder(f).Encode(what); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// instance is one life of a server.
type instance struct {
	socket *os.File
	end    func() // kills it, and waits for that
}

// instance is the server's process p, whose lane is closed before it is ended.
func (s *serverSpec) instance(p *os.Process, socket *os.File) *instance {
	return &instance{socket, func() {
		if s.FUSE == nil {
			p.Kill() // it has nothing to save
		} else {
			// The daemon may have: the server tells it, and ends.
			defer time.AfterFunc(2*endTime, func() { p.Kill() }).Stop()
		}
		p.Wait()
	}}
}

// clientOf asks a server's process, which the box ends. dial makes a client of lanes to it.
func clientOf[C io.Closer](b *Box, s *serverSpec, dial func(context.Context, remote.Dialer) (C, error)) (client C, err error) {
	next := s.next
	if adopted != nil {
		if next, err = s.adopt(); err != nil {
			return client, err
		}
	}
	var mu sync.Mutex
	var now *instance
	end := func() {
		if now != nil {
			now.end()
		}
		now = nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startGrace)
	defer cancel()
	c, err := dial(ctx, func(ctx context.Context) (*lane.Lane, error) {
		mu.Lock()
		defer mu.Unlock()
		end()
		var err error
		if now, err = next(); err != nil {
			return nil, err
		}
		conn, err := unixConn(now.socket)
		if err != nil {
			return nil, err
		}
		return lane.Connect(ctx, conn, s.protocol(fmt.Sprint(s.Kind, " ", s.Args)))
	})
	stop := func() error {
		mu.Lock()
		defer mu.Unlock()
		end()
		return nil
	}
	if err != nil {
		stop()
		return client, err
	}
	b.servers = append(b.servers, func() error {
		c.Close()
		return stop()
	})
	return c, nil
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
