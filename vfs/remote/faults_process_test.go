package remote_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// outsideSite is a server in a process of its own, which is stopped now and then,
// or killed and started again. Its files are the host's, so they outlive it.
type outsideSite struct {
	t     *testing.T
	dir   string
	kills bool

	mu sync.Mutex // held while there is no server
	p  *serverProcess
}

func newOutsideSite(t *testing.T, kills bool) *outsideSite {
	s := &outsideSite{t: t, dir: t.TempDir(), kills: kills}
	s.p = processAt(t, "shared", s.dir)
	return s
}

func (s *outsideSite) dial() (*remote.Client, error) {
	s.mu.Lock()
	path := s.p.path
	s.mu.Unlock()
	if path == "" {
		return nil, fmt.Errorf("the server did not start again: %w", syscall.ENOENT)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return remote.Dial(ctx, path)
}

func (s *outsideSite) trouble(tick, stop <-chan struct{}) {
	for {
		for range 100 + rand.IntN(600) {
			select {
			case <-stop:
				return
			case <-tick:
			}
		}
		s.mu.Lock()
		p := s.p
		if !s.kills {
			s.mu.Unlock()
			p.cmd.Process.Signal(syscall.SIGSTOP)
			for range rand.IntN(3000) {
				runtime.Gosched()
			}
			p.cmd.Process.Signal(syscall.SIGCONT)
			continue
		}
		p.end()
		s.p = &serverProcess{}
		func() {
			defer s.mu.Unlock()
			s.p = processAt(s.t, "shared", s.dir)
		}()
	}
}

func (s *outsideSite) census(*testing.T) {}

// sharedFiles serves one directory to all clients, and makes what they look for.
type sharedFiles struct {
	vfs.FS
}

func (f sharedFiles) Root(ctx context.Context) (vfs.Node, error) {
	n, err := f.FS.Root(ctx)
	if err != nil {
		return nil, err
	}
	return making{n.(vfs.Dir)}, nil
}

type making struct{ vfs.Dir }

func (d making) Lookup(ctx context.Context, name string) (vfs.Node, error) {
	for {
		n, err := d.Dir.Lookup(ctx, name)
		if err != syscall.ENOENT {
			return n, err
		}
		n, err = vfs.Make(ctx, d.Dir, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())})
		if err != syscall.EEXIST {
			return n, err
		}
	}
}

func processAt(t testing.TB, kind, dir string) *serverProcess {
	t.Helper()
	sub, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, kind, sub, dir, filepath.Join(sub, "s"))
}
