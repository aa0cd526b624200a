package tmp_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// sealed is a memory file: the host's or ours.
type sealed interface {
	add(seals int) error
	seals() (int, error)
	write(s string, off int64) (int, error)
	truncate(size int64) error
	allocate(mode uint32, off, n int64) error
	chmod(mode uint32) error
	mmap(shared, writes bool) error
}

type ours struct {
	f    vfs.File
	maps []func()
}

func (o *ours) add(s int) error { return o.sealer().AddSeals(uint32(s)) }
func (o *ours) sealer() interface {
	AddSeals(uint32) error
	Seals() uint32
} {
	return o.f.(interface {
		AddSeals(uint32) error
		Seals() uint32
	})
}
func (o *ours) seals() (int, error)                    { return int(o.sealer().Seals()), nil }
func (o *ours) write(s string, off int64) (int, error) { return vfs.Write(ctx, o.f, []byte(s), off) }
func (o *ours) truncate(size int64) error {
	return vfs.SetAttributes(ctx, o.f.Node(), o.f, vfs.SetAttr{Valid: vfs.SetSize, Size: size})
}
func (o *ours) chmod(mode uint32) error {
	return vfs.SetAttributes(ctx, o.f.Node(), o.f, vfs.SetAttr{Valid: vfs.SetMode, Mode: mode})
}
func (o *ours) allocate(mode uint32, off, n int64) error {
	return o.f.(vfs.Allocator).Allocate(ctx, mode, off, n)
}
func (o *ours) mmap(shared, writes bool) error {
	prot := unix.PROT_READ
	if writes {
		prot |= unix.PROT_WRITE
	}
	m, err := o.f.(vfs.Mapper).Map(ctx, prot, shared)
	if err != nil {
		return err
	}
	defer m.Release()
	return mmapFD(m.FD, shared, prot, &o.maps)
}

func mmapFD(fd int, shared bool, prot int, maps *[]func()) error {
	flags := unix.MAP_PRIVATE
	if shared {
		flags = unix.MAP_SHARED
	}
	p, err := unix.Mmap(fd, 0, 4096, prot, flags)
	if err == nil {
		*maps = append(*maps, func() { unix.Munmap(p) })
	}
	return err
}

type hosts struct {
	fd   int
	maps []func()
}

func (h *hosts) add(s int) error {
	_, err := unix.FcntlInt(uintptr(h.fd), unix.F_ADD_SEALS, s)
	return err
}
func (h *hosts) seals() (int, error) { return unix.FcntlInt(uintptr(h.fd), unix.F_GET_SEALS, 0) }
func (h *hosts) write(s string, off int64) (int, error) {
	n, err := unix.Pwrite(h.fd, []byte(s), off)
	return max(n, 0), err
}
func (h *hosts) truncate(size int64) error { return unix.Ftruncate(h.fd, size) }
func (h *hosts) chmod(mode uint32) error   { return unix.Fchmod(h.fd, mode) }
func (h *hosts) allocate(mode uint32, off, n int64) error {
	return unix.Fallocate(h.fd, mode, off, n)
}
func (h *hosts) mmap(shared, writes bool) error {
	prot := unix.PROT_READ
	if writes {
		prot |= unix.PROT_WRITE
	}
	return mmapFD(h.fd, shared, prot, &h.maps)
}

// TestSealsAsTheHost does the same to a memory file of the host and to ours.
func TestSealsAsTheHost(t *testing.T) {
	const all = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE
	tests := []struct {
		name    string
		sealing bool
		mapped  bool // shared and written, before the seals
		seals   []int
	}{
		{"none", true, false, nil},
		{"not allowed", false, false, []int{unix.F_SEAL_GROW}},
		{"shrink", true, false, []int{unix.F_SEAL_SHRINK}},
		{"grow", true, false, []int{unix.F_SEAL_GROW}},
		{"size", true, false, []int{unix.F_SEAL_SHRINK | unix.F_SEAL_GROW}},
		{"write", true, false, []int{unix.F_SEAL_WRITE}},
		{"write mapped", true, true, []int{unix.F_SEAL_WRITE}},
		{"future write", true, false, []int{unix.F_SEAL_FUTURE_WRITE}},
		{"future write mapped", true, true, []int{unix.F_SEAL_FUTURE_WRITE}},
		{"sealed", true, false, []int{unix.F_SEAL_SEAL, unix.F_SEAL_GROW}},
		{"twice", true, false, []int{unix.F_SEAL_GROW, unix.F_SEAL_GROW | unix.F_SEAL_SHRINK}},
		{"unknown", true, false, []int{1 << 12}},
		{"all", true, false, []int{all, all}},
		{"exec", true, false, []int{unix.F_SEAL_EXEC}},
	}
	for _, c := range tests {
		t.Run(c.name, func(t *testing.T) {
			flags := unix.MFD_CLOEXEC
			if c.sealing {
				flags |= unix.MFD_ALLOW_SEALING
			}
			fd := must[int](t)(unix.MemfdCreate("test", flags))
			h := &hosts{fd: fd}
			o := &ours{f: tmp.New(tmp.Options{}).NewMemfd(vfs.MakeOptions{Mode: 0o777}, c.sealing)}
			got, want := sealScript(o, c.mapped, c.seals), sealScript(h, c.mapped, c.seals)
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("%s; the host: %s", got[i], want[i])
				}
			}
			for _, unmap := range append(h.maps, o.maps...) {
				unmap()
			}
			unix.Close(fd)
			o.f.Close()
		})
	}
}

func sealScript(s sealed, mapped bool, seals []int) (log []string) {
	note := func(what string, v int, err error) {
		errno, _ := err.(syscall.Errno)
		log = append(log, fmt.Sprintf("%s: %d, errno %d", what, v, errno))
	}
	n, err := s.write("0123456789", 0)
	note("write", n, err)
	if mapped {
		note("map", 0, s.mmap(true, true))
	}
	for _, bits := range seals {
		note(fmt.Sprint("add ", bits), 0, s.add(bits))
	}
	n, err = s.seals()
	note("seals", n, err)
	n, err = s.write("abc", 2)
	note("write within", n, err)
	n, err = s.write("abc", 10)
	note("write behind", n, err)
	n, err = s.write("0123456789", 8)
	note("write across", n, err)
	note("same size", 0, s.truncate(13))
	note("cut", 0, s.truncate(5))
	note("grow", 0, s.truncate(20))
	note("allocate within", 0, s.allocate(0, 0, 5))
	note("allocate behind", 0, s.allocate(0, 0, 10000))
	note("punch", 0, s.allocate(unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, 4))
	note("map to write", 0, s.mmap(true, true))
	note("map privately", 0, s.mmap(false, true))
	note("map to read privately", 0, s.mmap(false, false))
	note("chmod", 0, s.chmod(0o700))
	note("chmod without exec", 0, s.chmod(0o600))
	n, err = s.seals()
	note("seals", n, err)
	return log
}

// TestSealsOfOthers: what memfd_create did not make cannot be sealed.
func TestSealsOfOthers(t *testing.T) {
	_, f := create(t, rootOf(t, tmp.New(tmp.Options{})), "f")
	o := &ours{f: f}
	is(t, "add", o.add(unix.F_SEAL_GROW), syscall.EPERM)
	if s, _ := o.seals(); s != unix.F_SEAL_SEAL {
		t.Errorf("seals %x", s)
	}
}
