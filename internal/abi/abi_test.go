package abi_test

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/abi"
)

func TestSyscallNames(t *testing.T) {
	for nr, name := range map[uint64]string{
		0: "read", 59: "execve", 231: "exit_group", 334: "rseq", 424: "pidfd_send_signal",
		435: "clone3", 462: "mseal", 469: "file_setattr", 337: "syscall_0x151",
		1 << 40: "syscall_0x10000000000", math.MaxUint64: "syscall_0xffffffffffffffff",
	} {
		if got := abi.SyscallName(nr); got != name {
			t.Errorf("SyscallName(%d) = %q, want %q", nr, got, name)
		}
	}
	if nr, ok := abi.SyscallNumber("openat2"); !ok || nr != unix.SYS_OPENAT2 {
		t.Errorf("openat2 is %d %v", nr, ok)
	}
	if _, ok := abi.SyscallNumber(""); ok {
		t.Error("a gap has the name \"\"")
	}
	seen := map[string]bool{}
	for nr := range uint64(abi.NumSyscalls) {
		if used := nr <= 336 || nr >= 424; abi.SyscallKnown(nr) != used {
			t.Errorf("SyscallKnown(%d) = %v", nr, !used)
		} else if name := abi.SyscallName(nr); used && seen[name] {
			t.Errorf("two calls are %s", name)
		} else {
			seen[name] = true
		}
	}
}

func TestErrnos(t *testing.T) {
	for e, name := range map[syscall.Errno]string{
		syscall.ENOENT: "ENOENT", syscall.EAGAIN: "EAGAIN", abi.ERESTARTSYS: "ERESTARTSYS",
		abi.ERESTARTNOINTR: "ERESTARTNOINTR", abi.ERESTARTNOHAND: "ERESTARTNOHAND",
		abi.ERESTART_RESTARTBLOCK: "ERESTART_RESTARTBLOCK", 4000: "4000",
	} {
		if got := abi.ErrnoName(e); got != name {
			t.Errorf("ErrnoName(%d) = %q, want %q", int(e), got, name)
		}
	}
	for _, c := range []struct {
		rax, n uint64
		err    syscall.Errno
	}{
		{5, 5, 0}, {0, 0, 0}, {^uint64(1), 0, 2}, {^uint64(4094), 0, 4095},
		{^uint64(4095), ^uint64(4095), 0}, {0x7fff00000000, 0x7fff00000000, 0},
	} {
		n, err := abi.ErrnoOf(c.rax)
		if n != c.n || err != c.err {
			t.Errorf("ErrnoOf(%#x) = %d, %d", c.rax, n, int(err))
		}
		if rax := abi.Result(c.n, c.err); rax != c.rax {
			t.Errorf("Result(%d, %d) = %#x", c.n, int(c.err), rax)
		}
	}
}

func TestSignalNames(t *testing.T) {
	for sig, name := range map[syscall.Signal]string{
		1: "SIGHUP", 9: "SIGKILL", 31: "SIGSYS", 32: "SIGRTMIN", 33: "SIGRT_1", 64: "SIGRT_32", 0: "0", 65: "65", -1: "-1",
	} {
		if got := abi.SignalName(sig); got != name {
			t.Errorf("SignalName(%d) = %q, want %q", int(sig), got, name)
		}
	}
	s := abi.SigsetOf(syscall.SIGHUP, 64)
	if s != 1|1<<63 || !s.Has(64) || s.Has(2) || s.Has(0) || s.Has(65) || s.Has(-1) {
		t.Errorf("set is %#x", s)
	}
}

func TestTimes(t *testing.T) {
	for d, want := range map[time.Duration]abi.Timespec{
		0: {}, 1500 * time.Millisecond: {1, 500e6}, -1: {-1, 999999999}, -time.Second: {-1, 0},
	} {
		if got := abi.TimespecOf(d); got != want {
			t.Errorf("TimespecOf(%v) = %v", d, got)
		}
	}
	for _, c := range []struct {
		t     abi.Timespec
		valid bool
		d     time.Duration
	}{
		{abi.Timespec{1, 2}, true, time.Second + 2},
		{abi.Timespec{0, 999999999}, true, 999999999},
		{abi.Timespec{0, 1e9}, false, 0},
		{abi.Timespec{0, -1}, false, 0},
		{abi.Timespec{-1, 0}, false, 0},
		{abi.Timespec{math.MaxInt64, 0}, true, math.MaxInt64},
		{abi.Timespec{9223372036, 854775807}, true, math.MaxInt64},
		{abi.Timespec{9223372036, 854775808}, true, math.MaxInt64},
		{abi.Timespec{9223372036, 854775806}, true, math.MaxInt64 - 1},
	} {
		if c.t.Valid() != c.valid {
			t.Errorf("%v: Valid is %v", c.t, !c.valid)
		} else if got := c.t.Duration(); c.valid && got != c.d {
			t.Errorf("%v: Duration is %d, want %d", c.t, got, c.d)
		}
	}
}

func TestDirents(t *testing.T) {
	names := []string{".", "..", "a", "abcd", "abcde", "abcdef", strings.Repeat("x", 255)}
	var buf []byte
	for i, n := range names {
		before := len(buf)
		size := abi.Dirent64Size(len(n))
		if got, ok := abi.AppendDirent64(buf, before+size-1, 1, 2, 0, n); ok || len(got) != before {
			t.Fatalf("%q fits into one byte too few", n)
		}
		var ok bool
		if buf, ok = abi.AppendDirent64(buf, before+size, uint64(i), uint64(i+10), syscall.S_IFDIR, n); !ok || len(buf) != before+size {
			t.Fatalf("%q does not fit", n)
		}
	}
	if n := len(buf) % 8; n != 0 {
		t.Errorf("%d bytes over", n)
	}
	rest := buf
	for i, n := range names {
		d, r, ok := abi.NextDirent64(rest)
		if !ok || string(d.Name) != n || d.Ino != uint64(i) || d.Next != uint64(i+10) || d.Type != syscall.DT_DIR {
			t.Fatalf("entry %d is %+v, %v", i, d, ok)
		}
		rest = r
	}
	if _, _, ok := abi.NextDirent64(rest); ok {
		t.Error("an entry after the end")
	}
}

func TestOldDirent(t *testing.T) {
	for _, n := range []string{"a", "abcde", "abcdef"} {
		size := abi.DirentSize(len(n))
		if _, ok := abi.AppendDirent(nil, size-1, 1, 2, 0, n); ok {
			t.Errorf("%q fits into one byte too few", n)
		}
		b, ok := abi.AppendDirent(nil, size, 1, 2, syscall.S_IFLNK, n)
		if !ok || len(b) != size || size%8 != 0 {
			t.Fatalf("%q: %d bytes, %v", n, len(b), ok)
		}
		if string(b[18:18+len(n)]) != n || b[18+len(n)] != 0 || b[size-1] != syscall.DT_LNK || b[16] != byte(size) {
			t.Errorf("%q: % x", n, b)
		}
	}
}

func TestVersioned(t *testing.T) {
	page := func(n int, last byte) []byte {
		b := make([]byte, n)
		b[n-1] = last
		return b
	}
	var clone abi.CloneArgs
	var how abi.OpenHow
	var attr abi.SchedAttr
	for _, c := range []struct {
		name   string
		decode func([]byte) error
		b      []byte
		want   error
	}{
		{"clone too short", clone.Decode, make([]byte, 63), syscall.EINVAL},
		{"clone 0", clone.Decode, make([]byte, 64), nil},
		{"clone 1", clone.Decode, make([]byte, 80), nil},
		{"clone 2", clone.Decode, page(88, 1), nil},
		{"clone zeros after", clone.Decode, page(4096, 0), nil},
		{"clone more after", clone.Decode, page(89, 1), syscall.E2BIG},
		{"clone too long", clone.Decode, make([]byte, 4097), syscall.E2BIG},
		{"how too short", how.Decode, make([]byte, 23), syscall.EINVAL},
		{"how", how.Decode, page(24, 1), nil},
		{"how more after", how.Decode, page(32, 1), syscall.E2BIG},
		{"sched too short", attr.Decode, make([]byte, 47), syscall.E2BIG},
		{"sched 0", attr.Decode, make([]byte, 48), nil},
		{"sched 1", attr.Decode, page(56, 1), nil},
		{"sched more after", attr.Decode, page(57, 1), syscall.E2BIG},
	} {
		if err := c.decode(c.b); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	if how.Resolve != 1<<56 || attr.UtilMax != 1<<24 || clone.Cgroup != 0 {
		t.Errorf("decoded %+v %+v %+v", how, attr, clone)
	}
}

func TestCmsgs(t *testing.T) {
	buf, ok := abi.AppendCmsg(nil, 64, 1, 2, []byte("abcd"))
	if !ok || len(buf) != 24 {
		t.Fatalf("%d bytes, %v", len(buf), ok)
	}
	buf, ok = abi.AppendCmsg(buf, 44, 3, 4, []byte("wxyz"))
	if !ok || len(buf) != 44 {
		t.Fatalf("the padding at the end is not cut: %d bytes, %v", len(buf), ok)
	}
	host, err := unix.ParseSocketControlMessage(buf)
	if err != nil || len(host) != 2 || string(host[1].Data) != "wxyz" || host[1].Header.Type != 4 {
		t.Errorf("the host sees %v, %v", host, err)
	}
	h, data, rest, more, valid := abi.NextCmsg(buf)
	if !more || !valid || h != (abi.Cmsghdr{Len: 20, Level: 1, Type: 2}) || string(data) != "abcd" || len(rest) != 20 {
		t.Errorf("first is %v %q %v %v, %d bytes follow", h, data, more, valid, len(rest))
	}
	if _, data, rest, _, _ = abi.NextCmsg(rest); string(data) != "wxyz" || len(rest) != 0 {
		t.Errorf("second is %q, %d bytes follow", data, len(rest))
	}
	if _, _, _, more, valid = abi.NextCmsg(rest); more || !valid {
		t.Errorf("end: %v %v", more, valid)
	}
	for _, n := range []uint64{0, 15, 21, math.MaxUint64} {
		bad := bytes.Clone(buf[24:])
		abi.Cmsghdr{Len: n}.Encode(bad)
		if _, _, _, _, valid := abi.NextCmsg(bad); valid {
			t.Errorf("a length of %d is taken", n)
		}
	}
	cut, ok := abi.AppendCmsg(nil, 18, 1, 1, []byte("abcd"))
	if ok || len(cut) != 18 || cut[0] != 18 {
		t.Errorf("cut message: % x, %v", cut, ok)
	}
	if none, ok := abi.AppendCmsg(nil, 15, 1, 1, nil); ok || len(none) != 0 {
		t.Errorf("a head in 15 bytes: % x", none)
	}
}

func TestSiginfoLayout(t *testing.T) {
	for _, c := range []struct {
		sig  syscall.Signal
		code int32
		want abi.Layout
	}{
		{syscall.SIGSEGV, abi.SI_USER, abi.LayoutKill},
		{syscall.SIGSEGV, abi.SI_KERNEL, abi.LayoutKill},
		{syscall.SIGSEGV, abi.SEGV_MAPERR, abi.LayoutFault},
		{syscall.SIGSEGV, abi.SEGV_BNDERR, abi.LayoutFaultBnd},
		{syscall.SIGSEGV, abi.SEGV_PKUERR, abi.LayoutFaultPkey},
		{syscall.SIGBUS, abi.BUS_ADRERR, abi.LayoutFault},
		{syscall.SIGBUS, abi.BUS_MCEERR_AO, abi.LayoutFaultMCEErr},
		{syscall.SIGTRAP, abi.TRAP_BRKPT, abi.LayoutFault},
		{syscall.SIGTRAP, abi.TRAP_PERF, abi.LayoutFaultPerf},
		{syscall.SIGCHLD, abi.CLD_CONTINUED, abi.LayoutChild},
		{syscall.SIGCHLD, 7, abi.LayoutKill},
		{syscall.SIGSYS, abi.SYS_SECCOMP, abi.LayoutSys},
		{syscall.SIGSYS, 3, abi.LayoutPoll},
		{syscall.SIGIO, abi.POLL_IN, abi.LayoutPoll},
		{40, abi.POLL_HUP, abi.LayoutPoll},
		{40, 7, abi.LayoutKill},
		{40, abi.SI_QUEUE, abi.LayoutRT},
		{40, abi.SI_TKILL, abi.LayoutRT},
		{40, abi.SI_TIMER, abi.LayoutTimer},
		{40, abi.SI_SIGIO, abi.LayoutPoll},
	} {
		s := abi.Siginfo{Signo: int32(c.sig), Code: c.code}
		if got := s.Layout(); got != c.want {
			t.Errorf("layout of %v, code %d is %d, want %d", c.sig, c.code, got, c.want)
		}
	}
	b := make([]byte, abi.SizeSiginfo)
	b[48] = 1
	if new(abi.Siginfo).Decode(b) {
		t.Error("Decode does not tell of a byte that it loses")
	}
	s := abi.TimerInfo(40, 1, 2, 3)
	if s.SetOverrun(9); s.Overrun() != 9 || s.TimerID() != 1 {
		t.Errorf("overrun %d of timer %d", s.Overrun(), s.TimerID())
	}
}

func TestFrameAddr(t *testing.T) {
	for sp := uint64(0x7000_0000); sp < 0x7000_0080; sp++ {
		frame, fp := abi.FrameAddr(sp, 2700)
		if fp%64 != 0 || fp+2700 > sp || frame%16 != 8 || frame+abi.SizeFrame > fp || sp-frame > 2700+abi.SizeFrame+64+24 {
			t.Fatalf("stack at %#x: frame %#x, floating point state %#x", sp, frame, fp)
		}
	}
}

func TestFpxSw(t *testing.T) {
	ok := abi.FpxSw{Magic1: abi.FP_XSTATE_MAGIC1, ExtendedSize: 836, XstateSize: 832, Xfeatures: 7}
	for _, c := range []struct {
		change func(*abi.FpxSw)
		want   bool
	}{
		{func(*abi.FpxSw) {}, true},
		{func(s *abi.FpxSw) { s.Magic1++ }, false},
		{func(s *abi.FpxSw) { s.XstateSize = 575 }, false},
		{func(s *abi.FpxSw) { s.XstateSize = 833 }, false},
		{func(s *abi.FpxSw) { s.ExtendedSize = 831 }, false},
	} {
		s := ok
		if c.change(&s); s.Extended(832) != c.want {
			t.Errorf("%+v: extended is %v", s, !c.want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	var (
		frame abi.Frame
		b     [abi.SizeFrame]byte
		dir   = make([]byte, 0, 64)
	)
	for name, f := range map[string]func(){
		"frame": func() { frame.Encode(b[:]); frame.Decode(b[:]) },
		"stat": func() {
			var s abi.Stat
			s.Encode(b[:])
			s.Decode(b[:])
		},
		"clone_args": func() {
			var a abi.CloneArgs
			if err := a.Decode(b[:abi.SizeCloneArgsVer2]); err != nil {
				t.Error(err)
			}
		},
		"dirent": func() {
			if _, ok := abi.AppendDirent64(dir[:0], 64, 1, 2, 3, "name"); !ok {
				t.Error("no room")
			}
		},
		"signalfd": func() { frame.Info.EncodeSignalfd(b[:]) },
	} {
		if n := testing.AllocsPerRun(10, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
