package loader_test

import (
	"errors"
	"reflect"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/loader"
)

func image(t *testing.T, f *elfFile) *loader.Image {
	t.Helper()
	img, err := parse(f.bytes())
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPlan(t *testing.T) {
	p, err := loader.NewPlan(image(t, dynamic()), 0x10000000, image(t, dynamic()), 0x20000000)
	if err != nil {
		t.Fatal(err)
	}
	checkPlan(t, p)
	const rxProt, rwProt = unix.PROT_READ | unix.PROT_EXEC, unix.PROT_READ | unix.PROT_WRITE
	want := &loader.Plan{
		Ops: []loader.Op{
			{Addr: 0x10000000, Len: 0x1000, Prot: rxProt, From: loader.MainFile},
			{Addr: 0x10002000, Len: 0x1000, Prot: rwProt, From: loader.MainFile, Off: 0x1000, Zero: 0x10002110, ZeroLen: 0xef0},
			{Addr: 0x10003000, Len: 0x3000, Prot: rwProt},
			{Addr: 0x20000000, Len: 0x1000, Prot: rxProt, From: loader.InterpFile},
			{Addr: 0x20002000, Len: 0x1000, Prot: rwProt, From: loader.InterpFile, Off: 0x1000, Zero: 0x20002110, ZeroLen: 0xef0},
			{Addr: 0x20003000, Len: 0x3000, Prot: rwProt},
		},
		Start: 0x20000100, Entry: 0x10000100, Phdr: 0x10000040, Phnum: 4, Base: 0x20000000, Brk: 0x10006000,
		StartCode: 0x10000000, EndCode: 0x10001000, StartData: 0x10002010, EndData: 0x10002110,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	if p, err = loader.NewPlan(image(t, dynamic()), 0x10000000, nil, 0); err != nil || !p.BrkAway || p.Start != p.Entry {
		t.Errorf("without interpreter: %+v, %v", p, err)
	}
	if p, err = loader.NewPlan(image(t, simple()), 0, nil, 0); err != nil || p.BrkAway || p.Brk != 0x406000 {
		t.Errorf("at fixed addresses: %+v, %v", p, err)
	}
}

func TestPlanBounds(t *testing.T) {
	fixed, dyn := image(t, simple()), image(t, dynamic())
	for _, c := range []struct {
		name       string
		main       *loader.Image
		bias       uint64
		interp     *loader.Image
		interpBias uint64
		want       error
	}{
		{"fixed with a bias", fixed, 0x1000, nil, 0, syscall.EINVAL},
		{"bias within a page", dyn, 0x10800, nil, 0, syscall.EINVAL},
		{"lowest", dyn, 0x10000, nil, 0, nil},
		{"too low", dyn, 0xf000, nil, 0, syscall.ENOMEM},
		{"highest", dyn, loader.TopAddr - 0x6000, nil, 0, nil},
		{"too high", dyn, loader.TopAddr - 0x5000, nil, 0, syscall.ENOMEM},
		{"wraps", dyn, ^uint64(0xfff), nil, 0, syscall.ENOMEM},
		{"after each other", dyn, 0x10000, dyn, 0x16000, nil},
		{"interpreter in the program", dyn, 0x10000, dyn, 0x15000, syscall.ENOMEM},
		{"interpreter in the gap", dyn, 0x10000, dyn, 0x10000, syscall.ENOMEM},
		{"interpreter too high", dyn, 0x10000, dyn, loader.TopAddr, syscall.ENOMEM},
		{"fixed interpreter", dyn, 0x10000, fixed, 0, nil},
	} {
		p, err := loader.NewPlan(c.main, c.bias, c.interp, c.interpBias)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		} else if err == nil {
			checkPlan(t, p)
		}
	}
}

// TestSharedPages: later segments take the pages that they share with earlier
// ones, as MAP_FIXED does.
func TestSharedPages(t *testing.T) {
	seg := func(vaddr, filesz, memsz, off uint64, flags uint32) ph {
		return ph{typ: unix.PT_LOAD, vaddr: vaddr, filesz: filesz, memsz: memsz, off: off, flags: flags}
	}
	type span struct {
		addr, len uint64
		from      loader.Source
		off       int64
		zero      uint64
	}
	for _, c := range []struct {
		name string
		segs []ph
		want []span
	}{
		{"at the end", []ph{seg(0x400000, 0x3000, 0x3000, 0, rx), seg(0x402000, 0x1000, 0x1000, 0x1000, rw)},
			[]span{{0x400000, 0x2000, loader.MainFile, 0, 0}, {0x402000, 0x1000, loader.MainFile, 0x1000, 0}}},
		{"in the middle", []ph{seg(0x400000, 0x3000, 0x3000, 0, rx), seg(0x401000, 0, 0x1000, 0, rw)},
			[]span{{0x400000, 0x1000, loader.MainFile, 0, 0}, {0x402000, 0x1000, loader.MainFile, 0x2000, 0}, {0x401000, 0x1000, loader.Anonymous, 0, 0}}},
		{"at the beginning", []ph{seg(0x400000, 0x3000, 0x3000, 0, rx), seg(0x400000, 0x1000, 0x1000, 0x2000, rw)},
			[]span{{0x401000, 0x2000, loader.MainFile, 0x1000, 0}, {0x400000, 0x1000, loader.MainFile, 0x2000, 0}}},
		{"all", []ph{seg(0x401000, 0x1000, 0x1000, 0, rx), seg(0x400000, 0x4000, 0x4000, 0, rw)},
			[]span{{0x400000, 0x4000, loader.MainFile, 0, 0}}},
		{"the page that would be cleared", []ph{seg(0x400000, 0x1100, 0x1800, 0, rw), seg(0x401000, 0x800, 0x800, 0x1000, rx)},
			[]span{{0x400000, 0x1000, loader.MainFile, 0, 0}, {0x401000, 0x1000, loader.MainFile, 0x1000, 0}}},
		{"zeros after what cannot be written", []ph{seg(0x400000, 0x100, 0x2000, 0, unix.PF_R)},
			[]span{{0x400000, 0x1000, loader.MainFile, 0, 0}, {0x401000, 0x1000, loader.Anonymous, 0, 0}}},
	} {
		f := simple()
		f.phs, f.size = c.segs, 0x8000
		p, err := loader.NewPlan(image(t, f), 0, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		checkPlan(t, p)
		var got []span
		for _, o := range p.Ops {
			got = append(got, span{o.Addr, o.Len, o.From, o.Off, o.ZeroLen})
		}
		// The order among what is left of earlier ones does not matter.
		match := len(got) == len(c.want)
		for _, w := range c.want {
			found := false
			for _, g := range got {
				found = found || g == w
			}
			match = match && found
		}
		if !match {
			t.Errorf("%s: got %x, want %x", c.name, got, c.want)
		}
	}
}
