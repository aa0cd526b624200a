package posix

import (
	"slices"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/abi"
	"golang.org/x/sys/unix"
)

// bare is a kernel without a machine: its tasks never run.
func bare(t testing.TB) *Kernel {
	k := &Kernel{processes: map[int]*Process{}, tasks: map[int]*Task{}, lastPID: 1}
	k.init = k.newInit()
	t.Cleanup(func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, p := range k.processes {
			p.stopTimers()
		}
	})
	return k
}

// process makes a process with n threads.
func (k *Kernel) testProcess(parent *Process, n int) *Process {
	p := &Process{k: k, parent: parent, children: map[int]*Process{}, tasks: map[int]*Task{}}
	for range n {
		task := k.testThread(p)
		if p.leader == nil {
			p.leader, p.pid = task, task.tid
		}
	}
	p.inherit(parent, &cloneArgs{exitSignal: int(unix.SIGCHLD)})
	k.processes[p.pid], parent.children[p.pid] = p, p
	if parent == k.init {
		p.newSession()
	}
	p.enlist()
	return p
}

func (k *Kernel) testThread(p *Process) *Task {
	t := &Task{k: k, proc: p, wake: make(chan struct{}, 1), ctx: &taskContext{}}
	t.tid, _ = k.newPID()
	t.creds.Store(&Creds{UID: 1000, EUID: 1000, SUID: 1000, FSUID: 1000})
	p.tasks[t.tid], k.tasks[t.tid] = t, t
	return t
}

func user(sig int) queuedSignal {
	return queuedSignal{info: abi.KillInfo(syscall.Signal(sig), abi.SI_USER, 1, 0)}
}

func value(sig int, v uint64) queuedSignal {
	return queuedSignal{info: abi.QueueInfo(syscall.Signal(sig), abi.SI_QUEUE, 1, 0, v)}
}

// drain takes all signals that the thread does not block.
func drain(t *Task) (sigs []int) {
	for {
		info, ok := t.take(^t.sig.mask)
		if !ok {
			return sigs
		}
		sigs = append(sigs, int(info.Signo))
	}
}

func handle(p *Process, sigs ...int) {
	for _, s := range sigs {
		p.sig.handlers.of(syscall.Signal(s)).Handler = 0x1000
	}
}

const (
	hup, intr, quit, ill, usr1, segv = 1, 2, 3, 4, 10, 11
	usr2, chld, cont, stop, tstp     = 12, 17, 18, 19, 20
	rt0, rt1                         = 34, 35
)

func TestOrderOfDelivery(t *testing.T) {
	all := []int{hup, intr, usr1, usr2, segv, rt0, rt1}
	for name, c := range map[string]struct {
		thread, process []int
		mask            abi.Sigset
		want            []int
	}{
		"lowest first":               {process: []int{usr2, usr1, hup}, want: []int{hup, usr1, usr2}},
		"standard ones merge":        {process: []int{usr1, usr1, usr1}, want: []int{usr1}},
		"real-time ones queue":       {process: []int{rt1, rt0, rt1}, want: []int{rt0, rt1, rt1}},
		"standard before real-time":  {process: []int{rt0, usr2}, want: []int{usr2, rt0}},
		"the thread's own first":     {thread: []int{rt0}, process: []int{hup}, want: []int{rt0, hup}},
		"faults before all":          {thread: []int{hup, segv}, want: []int{segv, hup}},
		"blocked ones stay":          {process: []int{hup, usr1}, mask: abi.SigsetOf(hup), want: []int{usr1}},
		"once here and once for all": {thread: []int{usr1}, process: []int{usr1}, want: []int{usr1, usr1}},
	} {
		t.Run(name, func(t *testing.T) {
			k := bare(t)
			p := k.testProcess(k.init, 1)
			handle(p, all...)
			k.mu.Lock()
			defer k.mu.Unlock()
			p.leader.sig.mask = c.mask
			for _, s := range c.thread {
				p.send(p.leader, user(s))
			}
			for _, s := range c.process {
				p.send(nil, user(s))
			}
			if got := drain(p.leader); !slices.Equal(got, c.want) {
				t.Errorf("delivered %v, want %v", got, c.want)
			}
		})
	}
}

func TestRealTimeKeepsOrderAndValues(t *testing.T) {
	k := bare(t)
	p := k.testProcess(k.init, 1)
	handle(p, rt0)
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range 100 {
		if err := p.send(nil, value(rt0, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		info, ok := p.leader.take(^abi.Sigset(0))
		if !ok || info.Value() != uint64(i) {
			t.Fatalf("signal %d has value %d", i, info.Value())
		}
	}
	if len(k.queued) != 0 {
		t.Errorf("still counted: %v", k.queued)
	}
}

func TestQueueLimit(t *testing.T) {
	k := bare(t)
	p := k.testProcess(k.init, 1)
	handle(p, rt0, usr1, usr2)
	k.mu.Lock()
	defer k.mu.Unlock()
	p.leader.sig.mask = ^abi.Sigset(0)
	p.limits[rlimitSigpending] = abi.Rlimit{Cur: 3, Max: 3}
	for i := range 3 {
		if err := p.send(nil, value(rt0, 0)); err != nil {
			t.Fatalf("signal %d: %v", i, err)
		}
	}
	if err := p.send(nil, value(rt0, 0)); err != syscall.EAGAIN {
		t.Errorf("one too many: %v, want EAGAIN", err)
	}
	// What kill sends always arrives, if need be without saying from whom.
	if err := p.send(nil, user(usr1)); err != nil {
		t.Error(err)
	}
	if err := p.send(nil, value(usr2, 5)); err != nil {
		t.Error(err)
	}
	p.leader.sig.mask = 0
	if got, want := drain(p.leader), []int{usr1, usr2, rt0, rt0, rt0}; !slices.Equal(got, want) {
		t.Errorf("delivered %v, want %v", got, want)
	}
}

func TestChoiceOfThread(t *testing.T) {
	for name, c := range map[string]struct {
		masks []abi.Sigset // of the threads
		to    int          // -1: the process
		sig   int
		want  int // which is told, -1 for none
	}{
		"the first thread":             {masks: make([]abi.Sigset, 3), to: -1, sig: usr1, want: 0},
		"not one that blocks it":       {masks: []abi.Sigset{abi.SigsetOf(usr1), 0, 0}, to: -1, sig: usr1, want: 1},
		"the third":                    {masks: []abi.Sigset{abi.SigsetOf(usr1), abi.SigsetOf(usr1), 0}, to: -1, sig: usr1, want: 2},
		"nobody":                       {masks: []abi.Sigset{abi.SigsetOf(usr1), abi.SigsetOf(usr1)}, to: -1, sig: usr1, want: -1},
		"directed":                     {masks: make([]abi.Sigset, 3), to: 2, sig: usr1, want: 2},
		"directed to one that does":    {masks: []abi.Sigset{0, abi.SigsetOf(usr1)}, to: 1, sig: usr1, want: -1},
		"a stop needs no handler":      {masks: make([]abi.Sigset, 2), to: -1, sig: stop, want: 0},
		"an ignored one concerns none": {masks: make([]abi.Sigset, 2), to: -1, sig: chld, want: -1},
	} {
		t.Run(name, func(t *testing.T) {
			k := bare(t)
			p := k.testProcess(k.init, len(c.masks))
			handle(p, usr1)
			var threads []*Task
			for _, task := range p.tasks {
				threads = append(threads, task)
			}
			slices.SortFunc(threads, func(a, b *Task) int { return a.tid - b.tid })
			k.mu.Lock()
			defer k.mu.Unlock()
			for i, m := range c.masks {
				threads[i].sig.mask = m
			}
			var to *Task
			if c.to >= 0 {
				to = threads[c.to]
			}
			p.send(to, user(c.sig))
			for i, task := range threads {
				if got := task.attention.Load(); got != (i == c.want) {
					t.Errorf("thread %d told: %v", i, got)
				}
				if got := task.ctx.Err() != nil; got != (i == c.want) {
					t.Errorf("thread %d interrupted: %v", i, got)
				}
			}
		})
	}
}

func TestBlockingHandsOn(t *testing.T) {
	k := bare(t)
	p := k.testProcess(k.init, 2)
	handle(p, usr1)
	var other *Task
	for _, task := range p.tasks {
		if task != p.leader {
			other = task
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	p.send(nil, user(usr1))
	if other.attention.Load() {
		t.Fatal("both were told")
	}
	p.leader.setMask(abi.SigsetOf(usr1))
	if !other.attention.Load() {
		t.Error("the first thread blocks the signal before it took it: nobody was told")
	}
}

func TestFatalSignalEndsAllThreads(t *testing.T) {
	for _, sig := range []int{9, 15, segv, rt0} {
		k := bare(t)
		p := k.testProcess(k.init, 3)
		k.mu.Lock()
		p.send(nil, user(sig))
		for _, task := range p.tasks {
			if !task.dying() {
				t.Errorf("signal %d: a thread lives", sig)
			}
		}
		if p.exit.status != int32(sig) {
			t.Errorf("signal %d: status %#x", sig, p.exit.status)
		}
		p.exitGroup(5 << 8)
		if p.exit.status != int32(sig) {
			t.Errorf("signal %d: a later exit changed the status to %#x", sig, p.exit.status)
		}
		k.mu.Unlock()
	}
}

func TestStopAndContinueCancelEachOther(t *testing.T) {
	k := bare(t)
	p := k.testProcess(k.init, 1)
	handle(p, cont, tstp)
	k.mu.Lock()
	defer k.mu.Unlock()
	p.leader.sig.mask = abi.SigsetOf(cont, tstp)
	p.send(nil, user(tstp))
	p.send(nil, user(cont))
	if s := p.sig.pending.set; s != abi.SigsetOf(cont) {
		t.Errorf("after SIGCONT pending is %#x", s)
	}
	p.send(p.leader, user(tstp))
	if p.sig.pending.set != 0 || p.leader.sig.pending.set != abi.SigsetOf(tstp) {
		t.Errorf("after SIGTSTP pending is %#x and %#x", p.sig.pending.set, p.leader.sig.pending.set)
	}
}

func TestForcedSignalCannotBeEvaded(t *testing.T) {
	for name, prepare := range map[string]func(*Task){
		"blocked": func(t *Task) { handle(t.proc, segv); t.sig.mask = abi.SigsetOf(segv) },
		"ignored": func(t *Task) { t.proc.sig.handlers.of(segv).Handler = abi.SIG_IGN },
		"default": func(*Task) {},
	} {
		t.Run(name, func(t *testing.T) {
			k := bare(t)
			p := k.testProcess(k.init, 1)
			prepare(p.leader)
			p.leader.force(abi.FaultInfo(segv, abi.SEGV_MAPERR, 8))
			if !p.leader.dying() || p.exit.status != segv {
				t.Errorf("dying %v, status %d", p.leader.dying(), p.exit.status)
			}
		})
	}
	k := bare(t)
	p := k.testProcess(k.init, 1)
	handle(p, segv)
	p.leader.force(abi.FaultInfo(segv, abi.SEGV_MAPERR, 8))
	if p.leader.dying() || !p.leader.attention.Load() {
		t.Error("a handled fault must be delivered")
	}
}

func TestRestartDecision(t *testing.T) {
	plain, again := &abi.Sigaction{Handler: 0x1000}, &abi.Sigaction{Handler: 0x1000, Flags: abi.SA_RESTART}
	for _, c := range []struct {
		code                  syscall.Errno
		nobody, plain, marked decision
	}{
		{abi.ERESTARTSYS, restartSame, restartFails, restartSame},
		{abi.ERESTARTNOINTR, restartSame, restartSame, restartSame},
		{abi.ERESTARTNOHAND, restartSame, restartFails, restartFails},
		{abi.ERESTART_RESTARTBLOCK, restartBlock, restartFails, restartFails},
	} {
		for i, act := range []*abi.Sigaction{nil, plain, again} {
			want := [...]decision{c.nobody, c.plain, c.marked}[i]
			if got := restartDecision(c.code, act); got != want {
				t.Errorf("%s, case %d: %d, want %d", abi.ErrnoName(c.code), i, got, want)
			}
		}
	}
}

func TestTaskSignalsInherited(t *testing.T) {
	s := taskSignals{mask: 5, saved: 9, hasSaved: true, altStack: abi.StackT{SP: 4096, Size: 8192}}
	s.pending.add(user(usr1))
	c := s.fork(0)
	if c.mask != 9 || c.pending.set != 0 || c.altStack != s.altStack || c.hasSaved {
		t.Errorf("fork: %+v", c)
	}
	if c := s.fork(unix.CLONE_VM | unix.CLONE_VFORK); c.altStack != s.altStack {
		t.Errorf("vfork: %+v", c.altStack)
	}
	if c := s.fork(unix.CLONE_VM); c.altStack.Size != 0 {
		t.Errorf("thread: %+v", c.altStack)
	}
}

func TestMayKill(t *testing.T) {
	k := bare(t)
	a, b := k.testProcess(k.init, 1), k.testProcess(k.init, 1)
	for _, c := range []struct {
		name     string
		from, to Creds
		sig      int
		want     bool
	}{
		{"same user", Creds{UID: 5, EUID: 5}, Creds{UID: 5, SUID: 5}, 15, true},
		{"another", Creds{UID: 5, EUID: 5}, Creds{UID: 6, SUID: 6}, 15, false},
		{"superuser", Creds{}, Creds{UID: 6, SUID: 6}, 15, true},
		{"real to saved", Creds{UID: 5, EUID: 7}, Creds{UID: 6, SUID: 5}, 15, true},
		{"effective of the other does not count", Creds{UID: 5, EUID: 5}, Creds{UID: 6, EUID: 5, SUID: 6}, 15, false},
		{"SIGCONT in another session", Creds{UID: 5, EUID: 5}, Creds{UID: 6, SUID: 6}, cont, false},
	} {
		a.leader.creds.Store(&c.from)
		b.leader.creds.Store(&c.to)
		if got := a.leader.mayKill(b, c.sig); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	child := k.testProcess(a, 1)
	a.leader.creds.Store(&Creds{UID: 5, EUID: 5})
	child.leader.creds.Store(&Creds{UID: 6, SUID: 6})
	if !a.leader.mayKill(child, cont) || a.leader.mayKill(child, 15) {
		t.Error("in one session SIGCONT, and only that, is for everyone")
	}
}
