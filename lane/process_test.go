package lane_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// The test binary is also the other process: a server or a client, as the
// environment says. It says one line when it is ready and ends with its stdin.
func TestMain(m *testing.M) {
	switch os.Getenv("LANE_TEST_ROLE") {
	case "server":
		serveProcess()
	case "payload":
		payloadProcess(os.Getenv("LANE_TEST_PATH"))
	case "client":
		clientProcess()
	case "idle":
		idleProcess()
	default:
		os.Exit(m.Run())
	}
}

// Operations of the other process's server.
const (
	opStream  = 100 + iota // takes the next number of a stream, or waits
	opFeed                 // lets that many waiting or coming opStream through
	opIgnore               // ignores its cancel until opRelease
	opRelease              // lets all opIgnore return, each with a descriptor
	opCensus               // counts: descriptors, goroutines, undone, started
	opExit                 // ends the process without an answer
	opWho                  // the peer's credentials
	opOffered              // accepts a lane and echoes on it
	opHold                 // holds a received event's bit up: raises it, then waits
	opMemory               // doubles each byte of a memory object
)

func serveProcess() {
	path := os.Getenv("LANE_TEST_PATH")
	ln, err := lane.Listen(path, 0o600, lane.Config{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		cancel()
	}()
	fmt.Println("ready")
	ln.Serve(ctx, newTestServer().handle, lane.ServeOptions{}, nil)
	os.Exit(0)
}

// testServer is the state of the other process's server.
type testServer struct {
	next    atomic.Uint64
	allowed chan struct{}
	release atomic.Pointer[chan struct{}]
	undone  atomic.Int64
	started atomic.Int64
}

func newTestServer() *testServer {
	s := &testServer{allowed: make(chan struct{}, 1<<20)}
	ch := make(chan struct{})
	s.release.Store(&ch)
	return s
}

func (s *testServer) handle(ctx context.Context, r *lane.Request) error {
	switch r.Op {
	case opStream:
		s.begin(r)
		select {
		case <-s.allowed:
			r.Reply.Data = binary.LittleEndian.AppendUint64(r.Reply.Data, s.next.Add(1))
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case opFeed:
		for range binary.LittleEndian.Uint32(r.Data) {
			s.allowed <- struct{}{}
		}
	case opIgnore:
		release := *s.release.Load()
		s.begin(r)
		r.OnUndelivered(func() { s.undone.Add(1) })
		<-release
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		f, err := lane.NewFile(fd)
		if err != nil {
			return err
		}
		r.Reply.Objects = append(r.Reply.Objects, f)
	case opRelease:
		ch := make(chan struct{})
		close(*s.release.Swap(&ch))
	case opCensus:
		for _, n := range []int{countFDs(), runtime.NumGoroutine(), int(s.undone.Load()), int(s.started.Load())} {
			r.Reply.Data = binary.LittleEndian.AppendUint32(r.Reply.Data, uint32(n))
		}
	case opExit:
		os.Exit(3)
	case opWho:
		c, _ := r.Lane().Peer()
		r.Reply.Data = fmt.Appendf(r.Reply.Data, "%d %d %d", c.PID, c.UID, c.GID)
	case opOffered:
		conv := r.Accept()
		if conv == nil {
			return syscall.EINVAL
		}
		return conv.Handle(echo, lane.ServeOptions{})
	case opHold:
		e := r.Objects[0].(*lane.Event)
		return e.Raise(r.Objects[0].(*lane.Event).Bits() | 4)
	case opMemory:
		b, err := r.Objects[0].(*lane.Memory).Map()
		if err != nil {
			return err
		}
		for i := range b {
			b[i] *= 2
		}
	case opBlock:
		s.begin(r)
		return echo(ctx, r)
	default:
		return echo(ctx, r)
	}
	return nil
}

// begin tells the client that the request has started.
func (s *testServer) begin(r *lane.Request) {
	s.started.Add(1)
	r.Lane().Note(context.Background(), &lane.Message{Op: opStarted, Data: []byte{byte(r.Op)}})
}

func countFDs() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// process is another process under test.
type process struct {
	*exec.Cmd
	path string
}

// startProcess starts this binary in a role and waits until it is ready.
func startProcess(t testing.TB, role, path string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LANE_TEST_ROLE="+role, "LANE_TEST_PATH="+path)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Signal(syscall.SIGCONT)
		cmd.Process.Kill()
		cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		t.Fatalf("%s: %q, %v", role, line, err)
	}
	return &process{cmd, path}
}

func startServer(t testing.TB) *process {
	t.Helper()
	dir, err := os.MkdirTemp("", "lane")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return startProcess(t, "server", filepath.Join(dir, "s"))
}

func dial(t testing.TB, p *process, cfg lane.Config) *client {
	t.Helper()
	c := newClient()
	l, err := lane.Dial(context.Background(), p.path, c.configure(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return c.attach(l)
}

// clientProcess connects, starts a call that waits for ever, and says so once
// the server works on it.
func clientProcess() {
	l, err := lane.Dial(context.Background(), os.Getenv("LANE_TEST_PATH"), lane.Config{})
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	c := newClient().attach(l)
	for range 5 {
		go l.Call(context.Background(), &lane.Message{Op: opBlock}, nil)
	}
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}()
	c.awaitStarted(opBlock, 5)
	fmt.Println("ready")
	select {}
}

// census asks for the counters of opCensus.
func census(t testing.TB, l *client) (n [4]uint32) {
	t.Helper()
	rep := lane.Message{}
	if err := l.Call(context.Background(), &lane.Message{Op: opCensus}, &rep); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		n[i] = binary.LittleEndian.Uint32(rep.Data[4*i:])
	}
	return n
}
