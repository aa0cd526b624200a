package posix

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"golang.org/x/sys/unix"
)

// fileTask is a task that never runs, with memory for arguments at addr: its
// calls can be made from a test.
func fileTask(tb testing.TB) (t *Task, addr uint64) {
	k, err := New(Config{Root: tmp.New(tmp.Options{Mode: 0o755})})
	if err != nil {
		tb.Fatal(err)
	}
	th, err := k.machine.NewThread()
	if err != nil {
		tb.Fatal(err)
	}
	t = &Task{k: k, proc: k.init, thread: th, wake: make(chan struct{}, 1), ctx: &taskContext{}}
	t.ctx.task = t
	t.creds.Store(NewCreds(0, 0, nil))
	t.fds = k.NewFDTable()
	if t.fs, err = k.newFSContext(t, "/"); err != nil {
		tb.Fatal(err)
	}
	addr, err = th.Do1(unix.SYS_MMAP, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uint64(0), 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		th.Space().Kill()
		th.Space().Free()
		k.Close()
	})
	return t, addr
}

// place writes a string for a call's argument.
func (t *Task) place(tb testing.TB, addr uint64, s string) {
	if err := t.copyOut(addr, append([]byte(s), 0)); err != nil {
		tb.Fatal(err)
	}
}

// do makes a call that must succeed.
func do(tb testing.TB, ret uint64, err error) uint64 {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
	return ret
}

func fileCalls(tb testing.TB) map[string]struct {
	allocs float64
	call   func()
} {
	t, addr := fileTask(tb)
	for _, d := range []string{"/usr", "/usr/lib", "/usr/lib/deep"} {
		t.place(tb, addr, d)
		do2(tb)(sysMkdir(t, &Args{addr, 0o755}))
	}
	t.place(tb, addr, "/usr/lib/deep/file")
	t.place(tb, addr+4096, "/usr/lib/deep/missing")
	buf := addr + 8192
	fd := do2(tb)(sysOpen(t, &Args{addr, unix.O_CREAT | unix.O_RDWR, 0o644}))
	do2(tb)(sysWrite(t, &Args{fd, buf, 4096}))
	return map[string]struct {
		allocs float64
		call   func()
	}{
		// A path is one string, and an open file a description and its file.
		"stat":         {1, func() { do2(tb)(sysStat(t, &Args{addr, buf})) }},
		"stat missing": {1, func() { sysStat(t, &Args{addr + 4096, buf}) }},
		"access":       {1, func() { do2(tb)(sysAccess(t, &Args{addr, 4})) }},
		"fstat":        {0, func() { do2(tb)(sysFstat(t, &Args{fd, buf})) }},
		"open+close": {3, func() {
			fd := do2(tb)(sysOpen(t, &Args{addr, unix.O_RDONLY}))
			do2(tb)(sysClose(t, &Args{fd}))
		}},
		"dup+close": {0, func() { do2(tb)(sysClose(t, &Args{do2(tb)(sysDup(t, &Args{fd}))})) }},
		"pread":     {0, func() { do2(tb)(sysPread(t, &Args{fd, buf, 4096, 0})) }},
		"pwrite":    {0, func() { do2(tb)(sysPwrite(t, &Args{fd, buf, 4096, 0})) }},
		"read":      {0, func() { do2(tb)(sysRead(t, &Args{fd, buf, 100})) }},
		"lseek":     {0, func() { do2(tb)(sysLseek(t, &Args{fd, 0, 0})) }},
		"readv": {0, func() {
			t.copyOutUint64(addr+100, buf)
			t.copyOutUint64(addr+108, 10)
			do2(tb)(sysReadv(t, &Args{fd, addr + 100, 1}))
		}},
	}
}

func do2(tb testing.TB) func(uint64, error) uint64 {
	return func(n uint64, err error) uint64 { return do(tb, n, err) }
}

func TestFileCallsAllocateLittle(t *testing.T) {
	for name, c := range fileCalls(t) {
		if got := testing.AllocsPerRun(100, c.call); got > c.allocs {
			t.Errorf("%s: %v allocations, want at most %v", name, got, c.allocs)
		}
	}
}

func BenchmarkFileCalls(b *testing.B) {
	for name, c := range fileCalls(b) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.call()
			}
		})
	}
}
