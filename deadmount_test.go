package hati_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"golang.org/x/sys/unix"
)

// deadMount makes a host directory with a mount "m" below it whose server never
// answers.
func deadMount(t *testing.T) string {
	t.Helper()
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
	t.Cleanup(func() {
		unix.Close(dev) // what waits for it fails
		if err := unix.Unmount(m, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestC13_DeadHostMount: programs that wait for a host file system whose server
// is gone can be killed, and shown.
func TestC13_DeadHostMount(t *testing.T) {
	dir := deadMount(t)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.HostDir(dir, "/dead", hati.ReadWrite)}})
	var cmds []*hati.Cmd
	const n = 20
	for i := range n {
		argv := [][]string{{"stat", "/dead/m"}, {"cat", "/dead/m/file"}, {"ls", "/dead/m/x"}, {"rmdir", "/dead/m/y"}}[i%4]
		cmd := box.Command(argv[0], argv[1:]...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		cmds = append(cmds, cmd)
	}
	eventually(t, "all wait", func() bool {
		waiting := 0
		for _, o := range box.Operations() {
			if o.State == hati.OperationWaiting && strings.HasPrefix(o.Server, "hostfs") {
				waiting++
			}
		}
		return waiting == n
	})
	start := time.Now()
	for _, cmd := range cmds {
		cmd.Process.Kill()
	}
	for _, cmd := range cmds {
		cmd.Wait()
		if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signal() != syscall.SIGKILL {
			t.Errorf("%v: %v", cmd.Args, cmd.ProcessState)
		}
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("took %v", d)
	}
	t.Logf("%d programs were gone after %v", n, time.Since(start))
	// The mount's files are not the only ones.
	if out, err := box.Command("ls", "/dead").CombinedOutput(); err != nil && !strings.Contains(string(out), "m") {
		t.Errorf("%q, %v", out, err)
	}
}

// eventually waits for what comes true by itself.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("never came true: ", what)
		}
		runtime.Gosched()
	}
}
