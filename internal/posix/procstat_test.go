package posix

import (
	"runtime"
	"testing"
)

// TestStateOfAThread: who is in a call sleeps only as long as it does.
func TestStateOfAThread(t *testing.T) {
	k := bare(t)
	p := k.testProcess(k.init, 1)
	task := p.leader
	task.ctx.task = task
	expect := func(when string, want byte) {
		t.Helper()
		k.mu.Lock()
		defer k.mu.Unlock()
		if got, _ := p.threadState(task, nil); got != want {
			t.Errorf("%s: %c, want %c", when, got, want)
		}
	}
	expect("new", 'R')
	task.op.begin(0, &Args{})
	expect("in a call", 'R')
	woken := make(chan error)
	go func() { woken <- task.sleep(noDeadline) }()
	for !task.op.asleep.Load() {
		runtime.Gosched()
	}
	expect("asleep", 'S')
	task.wakeUp()
	if err := <-woken; err != nil {
		t.Error(err)
	}
	expect("woken", 'R')
	task.ctx.Done()
	expect("a server may sleep", 'S')
	task.op.end()
	expect("after the call", 'R')
	task.sig.stopped = true
	expect("stopped alone", 'T')
}
