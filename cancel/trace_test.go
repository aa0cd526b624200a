package cancel_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// disturbed runs the races in a process of their own, and calls disturb again and again until it ends.
func disturbed(t *testing.T, kinds string, disturb func(pid int), ended func(pid int) bool) {
	var output bytes.Buffer
	cmd := exec.Command("/proc/self/exe", "-test.short", "-test.v",
		"-test.run", "^TestC01_OneOutcome$/^("+kinds+")$")
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.Env = append(os.Environ(), "HATI_HAMMER=")
	check(cmd.Start())
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := 0; ; n++ {
		<-tick.C
		if ended(cmd.Process.Pid) {
			t.Logf("disturbed %d times", n)
			break
		}
		disturb(cmd.Process.Pid)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, output.Bytes())
	}
}

// exited says whether a child has ended, and leaves it to be waited for.
func exited(pid int) bool {
	var info unix.Siginfo
	check(unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil))
	return info.Signo != 0 && info.Code <= 3 // CLD_EXITED, CLD_KILLED, CLD_DUMPED; a tracer is told of stops, too
}

// Stopping and continuing the process ends no call, and loses no cancel.
func TestC09_StopAndContinue(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the races once more")
	}
	disturbed(t, "read|poll|epoll|flock|open|accept4|recvmsg|nanosleep|splice|connect", func(pid int) {
		check(unix.Kill(pid, unix.SIGSTOP))
		check(unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT, nil))
		check(unix.Kill(pid, unix.SIGCONT))
	}, exited)
}

// A debugger that stops threads at any moment, and passes on the signals that it sees, ends no call and loses no cancel.
func TestC09_Debugger(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the races once more")
	}
	runtime.LockOSThread() // ptrace knows threads
	defer runtime.UnlockOSThread()
	seized := map[int]bool{}
	interrupts := 0
	disturbed(t, "read|poll", func(pid int) {
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return
		}
		for i, task := range tasks {
			var tid int
			_, err := fmt.Sscan(task.Name(), &tid)
			check(err)
			if !seized[tid] {
				if err := unix.PtraceSeize(tid); err == unix.EPERM && interrupts == 0 && len(seized) == 0 {
					t.Skip("ptrace: ", err)
				} else if err != nil {
					continue // it is ending
				}
				seized[tid] = true
			}
			if i == interrupts%len(tasks) {
				_ = unix.PtraceInterrupt(tid)
			}
		}
		interrupts++
		for range 50 {
			passOn(pid, seized)
			spin(5000)
		}
	}, exited)
	if interrupts == 0 {
		t.Error("no interrupts")
	}
}

// passOn lets the threads that have stopped go on, with the signals that they were to get.
func passOn(pid int, threads map[int]bool) {
	for tid := range threads {
		var info unix.Siginfo
		events := unix.WSTOPPED | unix.WEXITED
		if tid == pid {
			events = unix.WSTOPPED // how it ends, others want to know
		}
		if err := unix.Waitid(unix.P_PID, tid, &info, events|unix.WALL|unix.WNOHANG, nil); err != nil {
			delete(threads, tid)
			continue
		} else if info.Signo == 0 || info.Code <= 3 {
			continue
		}
		sig := 0
		if status := status(&info); status>>8 == 0 { // not an event of ptrace's own
			sig = int(status)
		}
		_ = unix.PtraceCont(tid, sig)
	}
}
