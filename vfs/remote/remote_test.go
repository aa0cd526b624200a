package remote_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/iofs"
	"github.com/hati-os/hati/internal/servers/overlay"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

var ctx = context.Background()

// The test binary is also the other process.
func TestMain(m *testing.M) {
	if kind := os.Getenv("REMOTE_TEST_KIND"); kind != "" {
		if err := serveProcess(kind); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A kind of server makes a new file system, with dir for its files.
var kinds = map[string]func(dir string) (vfs.FS, error){
	"tmp": func(string) (vfs.FS, error) { return tmp.New(tmp.Options{}), nil },
	"host": func(dir string) (vfs.FS, error) {
		return host.New(dir, host.Options{})
	},
	"overlay": func(dir string) (vfs.FS, error) {
		lower, err := host.New(dir, host.Options{ReadOnly: true})
		if err != nil {
			return nil, err
		}
		return overlay.New(tmp.New(tmp.Options{}), lower, overlay.Options{})
	},
	"iofs": func(string) (vfs.FS, error) { return iofs.New(vfstest.Sample()), nil },
}

// A transport gives a client of a new file system of a kind.
var transports = []struct {
	name string
	open func(t testing.TB, kind string) *remote.Client
}{{"lane", overPair(false)}, {"ring", overPair(true)}, {"process", overProcess}}

// serveFS answers at one end; the test waits until all is given back.
func serveFS(t testing.TB, end *lane.Lane, fs vfs.FS) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		remote.Serve(ctx, end, fs, remote.ServeOptions{})
	}()
	t.Cleanup(func() { <-done })
}

func makeFS(t testing.TB, kind string) vfs.FS {
	t.Helper()
	fs, err := kinds[kind](t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if c, ok := fs.(interface{ Close() error }); ok {
		t.Cleanup(func() { c.Close() })
	}
	return fs
}

func newClient(t testing.TB, end *lane.Lane) *remote.Client {
	t.Helper()
	c, err := remote.New(ctx, end)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func pair(t testing.TB, shared bool) (client, server *lane.Lane) {
	t.Helper()
	return pairWith(t, shared, 0)
}

// pairWith has another grace time than the usual one, unless that is 0.
func pairWith(t testing.TB, shared bool, grace time.Duration) (client, server *lane.Lane) {
	t.Helper()
	cfg := remote.Config("test")
	cfg.Grace = grace
	a, b := lane.Pair(cfg)
	if shared {
		var err error
		if a, b, err = lane.PairShared(cfg); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

func overPair(shared bool) func(testing.TB, string) *remote.Client {
	return func(t testing.TB, kind string) *remote.Client {
		a, b := pair(t, shared)
		serveFS(t, b, makeFS(t, kind))
		return newClient(t, a)
	}
}

// overProcess connects to a process that makes a new file system for each client.
func overProcess(t testing.TB, kind string) *remote.Client {
	t.Helper()
	c, err := remote.Dial(ctx, process(t, kind).path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

type serverProcess struct {
	path string
	cmd  *exec.Cmd
	in   io.Closer
}

// End kills the process and waits for it.
func (p *serverProcess) End() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.cmd.Wait()
}

// process starts a server's process, one for each test and kind.
func process(t testing.TB, kind string) *serverProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, kind, dir, dir, filepath.Join(dir, "s"))
}

// startProcess starts a server of the files in dir; scratch is removed with it.
func startProcess(t testing.TB, kind, scratch, dir, path string) *serverProcess {
	t.Helper()
	p := &serverProcess{path: path}
	p.cmd = exec.Command("/proc/self/exe")
	p.cmd.Env = append(os.Environ(), "REMOTE_TEST_KIND="+kind, "REMOTE_TEST_DIR="+dir, "REMOTE_TEST_SOCKET="+path)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.End()
		os.RemoveAll(scratch)
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("server process: %q, %v", line, err)
	}
	return p
}

func serveProcess(kind string) error {
	if rest, ok := strings.CutPrefix(kind, "net/"); ok {
		network, way, _ := strings.Cut(rest, "/")
		return serveNetProcess(network, way)
	}
	dir := os.Getenv("REMOTE_TEST_DIR")
	l, err := remote.Listen(os.Getenv("REMOTE_TEST_SOCKET"), 0o600, lane.Config{})
	if err != nil {
		return err
	}
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}()
	fmt.Println("ready")
	if kind == "shared" {
		files, err := host.New(dir, host.Options{})
		if err != nil {
			return err
		}
		return remote.ServeListener(ctx, l, faulttest.Files(files), remote.ServeOptions{})
	}
	var n atomic.Int64
	for {
		end, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		sub := filepath.Join(dir, fmt.Sprint("d", n.Add(1)))
		if err := os.Mkdir(sub, 0o755); err != nil {
			return err
		}
		fs, err := kinds[kind](sub)
		if err != nil {
			return err
		}
		go func() {
			remote.Serve(ctx, end, fs, remote.ServeOptions{})
			if c, ok := fs.(interface{ Close() error }); ok {
				c.Close()
			}
		}()
	}
}

// TestContract is the contract of package vfs over every transport.
func TestContract(t *testing.T) {
	ordinary := os.Geteuid() != 0
	for kind, opts := range map[string]vfstest.Options{
		"tmp":     {NoAllocate: false},
		"host":    {NoDevice: ordinary, NoChown: ordinary},
		"overlay": {},
		"iofs":    {ReadOnly: true},
	} {
		opts.BigDir = 1500
		for _, tr := range transports {
			t.Run(kind+"/"+tr.name, func(t *testing.T) {
				t.Parallel()
				open := func(t *testing.T) vfs.FS { return tr.open(t, kind).FS() }
				if tr.name == "process" {
					p := process(t, kind)
					open = func(t *testing.T) vfs.FS {
						c, err := remote.Dial(ctx, p.path)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { c.Close() })
						return c.FS()
					}
				}
				vfstest.Run(t, open, opts)
			})
		}
	}
}
