package fuse

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
)

// The test binary is also a daemon's process.
func TestMain(m *testing.M) {
	dir := os.Getenv("FUSE_TEST_DIR")
	if dir == "" {
		os.Exit(m.Run())
	}
	files, err := host.New(dir, host.Options{})
	if err == nil {
		var d *daemon
		if d, err = newDaemon(nil, os.NewFile(3, "fuse"), faulttest.Files(files)); err == nil {
			d.serve()
			os.Exit(0)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// processSite has daemons in processes of their own, one for each way, for files
// that outlive them. One is stopped now and then, or killed.
type processSite struct {
	daemonJudge
	t     *testing.T
	dir   string
	kills bool

	mu   sync.Mutex
	ways map[*processWay]struct{}
}

type processWay struct {
	fs   *FS
	cmd  *exec.Cmd
	site *processSite
}

func newProcessSite(t *testing.T, kills bool) *processSite {
	return &processSite{t: t, dir: t.TempDir(), kills: kills, ways: map[*processWay]struct{}{}}
}

func (s *processSite) Dial() (faulttest.Way, error) {
	ours, theirs, err := Socketpair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	w := &processWay{site: s, cmd: exec.Command("/proc/self/exe")}
	w.cmd.Env = append(os.Environ(), "FUSE_TEST_DIR="+s.dir)
	w.cmd.Stderr = os.Stderr
	w.cmd.ExtraFiles = []*os.File{theirs}
	if err := w.cmd.Start(); err != nil {
		ours.Close()
		return nil, err
	}
	if w.fs, err = Attach(ours, Options{AllowOther: true}); err != nil {
		w.cmd.Process.Kill()
		w.cmd.Wait()
		return nil, err
	}
	s.mu.Lock()
	s.ways[w] = struct{}{}
	s.mu.Unlock()
	return w, nil
}

func (w *processWay) FS() vfs.FS { return w.fs }

func (w *processWay) Err() error {
	if w.fs.conn.lost.Load() {
		return syscall.ENOTCONN
	}
	return nil
}

// Close unmounts and waits for the process, which ends by itself.
func (w *processWay) Close() error {
	w.site.mu.Lock()
	delete(w.site.ways, w)
	w.site.mu.Unlock()
	w.fs.Unmount(false)
	w.cmd.Wait()
	return nil
}

func (s *processSite) Trouble(tick, stop <-chan struct{}) {
	for faulttest.Ticks(100+rand.IntN(400), tick, stop) {
		s.mu.Lock()
		for w := range s.ways {
			if s.kills {
				w.cmd.Process.Kill()
				break
			}
			w.cmd.Process.Signal(syscall.SIGSTOP)
			for range rand.IntN(3000) {
				runtime.Gosched()
			}
			w.cmd.Process.Signal(syscall.SIGCONT)
			break
		}
		s.mu.Unlock()
	}
}

func (s *processSite) Census(testing.TB) {}
