package hati_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// stuck is a server with one file. Reading it waits for release, whatever
// becomes of the caller.
type stuck struct {
	entered chan struct{}
	release chan struct{}
	closed  atomic.Int32
}

func newStuck() *stuck { return &stuck{make(chan struct{}, 100), make(chan struct{}), atomic.Int32{}} }

func (s *stuck) Root(context.Context) (vfs.Node, error) { return s, nil }
func (s *stuck) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Dev: 99, Ino: 1, Mode: unix.S_IFREG | 0o666, Nlink: 1, Size: 100}, nil
}
func (s *stuck) Open(context.Context, int) (vfs.File, error) { return s, nil }
func (s *stuck) Node() vfs.Node                              { return s }
func (s *stuck) Close() error                                { s.closed.Add(1); return nil }
func (s *stuck) Read(_ context.Context, p []byte, _ int64) (int, error) {
	s.entered <- struct{}{}
	<-s.release
	return copy(p, "late"), nil
}

// TestC13_KilledWhileTheServerIsStuck: a guest that is killed is gone at once.
func TestC13_KilledWhileTheServerIsStuck(t *testing.T) {
	s := newStuck()
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.Server(s, "/stuck")}})
	cmd := box.Command("cat", "/stuck")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-s.entered
	start := time.Now()
	cmd.Process.Kill()
	cmd.Wait()
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("took %v", d)
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
		t.Errorf("ended with %v", cmd.ProcessState)
	}
	close(s.release)
}

// TestC12_InterruptedInDoubt: a server that ignores an interrupt loses the
// request after a second, with EIO.
func TestC12_InterruptedInDoubt(t *testing.T) {
	s := newStuck()
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.Server(s, "/stuck")}})
	cmd := box.Command("sh", "-c", "trap 'echo got' USR1; read x < /stuck; echo status $?; exec cat /stuck")
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-s.entered
	cmd.Process.Signal(syscall.SIGUSR1)
	<-s.entered
	cmd.Process.Kill()
	cmd.Wait()
	t.Log(out.String(), errb.String())
	close(s.release)
}
