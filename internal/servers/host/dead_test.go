package host_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/guard"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func threads() int {
	n := 0
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "Threads:") {
			fmt.Sscan(strings.TrimPrefix(line, "Threads:"), &n)
		}
	}
	return n
}

func descriptors() int {
	d, _ := os.ReadDir("/proc/self/fd")
	return len(d)
}

// TestC22_DeadMount: a thousand calls hang in the host's kernel, at a mount whose
// server is gone. Their callers leave; when the host answers, goroutines, threads
// and descriptors are as before.
func TestC22_DeadMount(t *testing.T) {
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skip("no FUSE on this host: ", err)
	}
	dir := t.TempDir()
	m := filepath.Join(dir, "m")
	if err := os.Mkdir(m, 0o755); err != nil {
		t.Fatal(err)
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d", dev, os.Getuid(), os.Getgid())
	if err := unix.Mount("test", m, "fuse", unix.MS_NOSUID|unix.MS_NODEV, options); err != nil {
		unix.Close(dev)
		t.Skip("cannot mount: ", err)
	}
	defer unix.Unmount(m, unix.MNT_DETACH)
	defer unix.Close(dev)
	fs, err := host.New(dir, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	g := guard.New(fs, guard.Options{})
	defer g.Close()
	root, err := g.FS().Root(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	goroutines, thr, fds := runtime.NumGoroutine(), threads(), descriptors()
	const n = 1000
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	var hung atomic.Int64
	for range n {
		wg.Go(func() {
			switch _, err := vfs.Lookup(ctx, root, "m"); {
			case errors.Is(err, vfs.ErrInDoubt):
				hung.Add(1)
			case errors.Is(err, vfs.ErrKilled): // it had a thread, but had not begun
			default:
				t.Error(err)
			}
		})
	}
	until(t, "all hang", func() bool { return threads() >= thr+n*9/10 })
	start := time.Now()
	cancel(vfs.ErrKilled)
	wg.Wait()
	if hung.Load() < n/2 {
		t.Errorf("only %d calls were in the host", hung.Load())
	}
	t.Logf("left after %v, with %d threads in the host", time.Since(start), threads())
	if _, err := vfs.Lookup(context.Background(), root, "none"); err != unix.ENOENT {
		t.Errorf("beside the dead mount: %v", err)
	}
	if err := unix.Unmount(m, unix.MNT_FORCE|unix.MNT_DETACH); err != nil { // the host answers
		t.Fatal(err)
	}
	until(t, "all is as before", func() bool {
		return len(g.Abandoned()) == 0 && runtime.NumGoroutine() <= goroutines+10 && threads() <= thr+20 && descriptors() <= fds
	})
}

func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s (%d goroutines, %d threads, %d descriptors)", what, runtime.NumGoroutine(), threads(), descriptors())
		}
		runtime.Gosched()
	}
}

// TestC19_LeaseWaitIsInterrupted: opening waits in the host's kernel until
// another process gives a lease back. The end of ctx ends that wait, too.
func TestC19_LeaseWaitIsInterrupted(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "leased")
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	fs, err := host.New(dir, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	root, err := fs.Root(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	f, err := vfs.Lookup(context.Background(), root, "leased")
	if err != nil {
		t.Fatal(err)
	}
	lease, err := unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(lease)
	if _, err := unix.FcntlInt(uintptr(lease), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Skip("no leases here: ", err)
	}
	collect(func() bool { return false }) // what earlier tests left is not to go meanwhile
	fds := descriptors()
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() {
		_, err := vfs.Open(ctx, f, unix.O_RDWR)
		done <- err
	}()
	until(t, "the lease is being broken", func() bool {
		l, err := unix.FcntlInt(uintptr(lease), unix.F_GETLEASE, 0)
		return err == nil && l != unix.F_WRLCK
	})
	cancel(vfs.ErrInterrupted)
	if err := <-done; err != vfs.ErrInterrupted {
		t.Errorf("%v", err)
	}
	if now := descriptors(); now != fds {
		t.Errorf("%d descriptors, before %d", now, fds)
	}
	runtime.KeepAlive(f)
	runtime.KeepAlive(root)
}
