package test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	box "github.com/hati-os/hati"
)

// TestNoSurvivors kills the server with SIGKILL while guests of all kinds run:
// each of their host processes ends.
func TestNoSurvivors(t *testing.T) {
	need(t, "musl-gcc")
	dir := directory(t)
	crowd := filepath.Join(dir, "crowd")
	if out, err := exec.Command("musl-gcc", "-static", "-O1", "-w", "-o", crowd, "guest/survivors/crowd.c", "-lpthread").CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	rounds := 3
	if os.Getenv("HATI_HAMMER") != "" {
		rounds = 200
	}
	for name, argv := range map[string][]string{
		"command":  {hati, "run", "--", crowd},
		"embedded": {self, crowd},
	} {
		t.Run(name, func(t *testing.T) {
			for range rounds {
				ctx, cancel := context.WithTimeout(context.Background(), limit)
				cmd := exec.CommandContext(ctx, self, argv...)
				cmd.Env = as("heir")
				cmd.WaitDelay = time.Second
				out, err := cmd.CombinedOutput()
				cancel()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
		})
	}
}

// inherit runs a server, kills it when its guests are ready, and waits for all
// that it leaves behind: this process inherits them.
func inherit(argv []string) int {
	fail := func(format string, args ...any) int {
		fmt.Printf(format+"\n", args...)
		return 1
	}
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fail("subreaper: %v", err)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = as("embedding")
	cmd.Stderr = os.Stdout
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fail("%v", err)
	}
	if err := cmd.Start(); err != nil {
		return fail("%v", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	least, err2 := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || err2 != nil {
		return fail("the guests say %q: %v", line, err)
	}
	cmd.Process.Kill()
	cmd.Wait()

	var survived atomic.Bool
	limit := time.AfterFunc(20*time.Second, sync.OnceFunc(func() {
		survived.Store(true)
		for _, pid := range children() {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			fmt.Printf("process %d survives:\n%s", pid, status)
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}))
	defer limit.Stop()
	killed := 0
	for {
		var ws syscall.WaitStatus
		_, err := syscall.Wait4(-1, &ws, syscall.WALL, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			break
		}
		if ws.Signaled() && ws.Signal() == syscall.SIGKILL {
			killed++
		}
	}
	if survived.Load() {
		return 1
	}
	if killed < least {
		return fail("%d processes were killed, want at least %d", killed, least)
	}
	return 0
}

// children returns the processes whose parent this one is.
func children() (pids []int) {
	tasks, _ := filepath.Glob("/proc/self/task/*/children")
	for _, task := range tasks {
		b, _ := os.ReadFile(task)
		for _, f := range bytes.Fields(b) {
			if pid, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// embed runs a program in a box.
func embed(argv []string) int {
	b, err := box.New(box.Config{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer b.Close()
	cmd := b.Command(argv[0])
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return 1
}
