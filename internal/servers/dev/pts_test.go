package dev_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/dev"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

type memArg []byte

func (m memArg) Value() uint64                   { return 0x1000 }
func (m memArg) ReadAt(p []byte, off int) error  { copy(p, m[off:]); return nil }
func (m memArg) WriteAt(p []byte, off int) error { copy(m[off:], p); return nil }

// openMaster opens a terminal as openpt, grantpt, unlockpt and ptsname do.
func openMaster(t *testing.T, d vfs.Dir) (master vfs.File, index int) {
	t.Helper()
	m, err := vfs.Open(ctx, lookup(t, d, "ptmx"), unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	var b [4]byte
	for _, cmd := range []uint32{unix.TIOCSPTLCK, unix.TIOCGPTN} {
		if _, err := m.(vfs.Ioctler).Ioctl(ctx, cmd, memArg(b[:])); err != nil {
			t.Fatal(err)
		}
	}
	return m, int(binary.LittleEndian.Uint32(b[:]))
}

func lookup(t *testing.T, d vfs.Node, name string) vfs.Node {
	t.Helper()
	n, err := vfs.Lookup(ctx, d, name)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

func TestPts(t *testing.T) {
	fs := dev.New(dev.Options{Owner: func(context.Context) uint32 { return 1000 }})
	r, _ := fs.Root(ctx)
	d := r.(vfs.Dir)
	pts := lookup(t, d, "pts")
	if mounted, _ := fs.Pts().Root(ctx); mounted != pts {
		t.Error("the directory is not the mountable one")
	}
	if s, err := fs.Pts().Statfs(ctx); s.Type != unix.DEVPTS_SUPER_MAGIC || err != nil {
		t.Errorf("statfs %#x, %v", s.Type, err)
	}
	_, err := vfs.Lookup(ctx, pts, "0")
	checkErr(t, "slave without master", err, syscall.ENOENT)

	var masters []vfs.File
	for want := range 12 {
		m, index := openMaster(t, d)
		if index != want {
			t.Fatalf("index %d, want %d", index, want)
		}
		masters = append(masters, m)
	}
	for _, name := range []string{"00", "+1", "-1", "12", "x", ""} {
		_, err := vfs.Lookup(ctx, pts, name)
		checkErr(t, name, err, syscall.ENOENT)
	}

	s := lookup(t, pts, "7")
	a, err := s.Stat(ctx)
	if err != nil || a.Mode != unix.S_IFCHR|0o620 || a.UID != 1000 || a.GID != 5 || a.Rdev != unix.Mkdev(136, 7) || a.Nlink != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	if s != lookup(t, pts, "7") {
		t.Error("two nodes of one slave")
	}
	checkErr(t, "chown", vfs.SetAttributes(ctx, s, nil, vfs.SetAttr{Valid: vfs.SetUID | vfs.SetMode, UID: 3, Mode: 0o600}), nil)
	if a, _ := s.Stat(ctx); a.Mode != unix.S_IFCHR|0o600 || a.UID != 3 || a.GID != 5 {
		t.Errorf("after chown and chmod %+v", a)
	}

	f, err := vfs.Open(ctx, s, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	if f.Node() != s {
		t.Error("the file's node is not the one opened")
	}
	// The same terminal by its number, and from the master.
	made, err := vfs.Make(ctx, d, "mine", vfs.MakeOptions{Mode: unix.S_IFCHR | 0o600, Rdev: unix.Mkdev(136, 7)})
	if err != nil {
		t.Fatal(err)
	}
	g, err := vfs.Open(ctx, made, unix.O_RDWR)
	if err != nil || g.Node() != made {
		t.Fatal(err)
	}
	h, err := masters[7].(vfs.PeerOpener).OpenPeer(ctx, unix.O_RDWR)
	if err != nil || h.Node() != s {
		t.Fatal(err)
	}
	for _, x := range []vfs.File{f, g, h} {
		if x.(vfs.Terminal).Line() != masters[7].(vfs.Terminal).Line() {
			t.Error("another terminal")
		}
	}
	if _, err := vfs.Write(ctx, g, []byte("hi\n"), 0); err != nil {
		t.Error(err)
	}
	p := make([]byte, 10)
	if n, err := vfs.Read(ctx, masters[7], p, 0); string(p[:n]) != "hi\r\n" || err != nil {
		t.Errorf("read %q, %v", p[:n], err)
	}

	// The name goes with the master, the number when all is closed.
	masters[7].Close()
	_, err = vfs.Lookup(ctx, pts, "7")
	checkErr(t, "name of a closed terminal", err, syscall.ENOENT)
	_, err = vfs.Open(ctx, s, 0)
	checkErr(t, "open of a closed terminal", err, syscall.EIO)
	_, err = vfs.Open(ctx, made, 0)
	checkErr(t, "open by its number", err, syscall.ENXIO)
	if _, index := openMaster(t, d); index != 12 {
		t.Errorf("index %d while slaves of 7 are open", index)
	}
	for _, x := range []vfs.File{f, g, h} {
		x.Close()
	}
	if _, index := openMaster(t, d); index != 7 {
		t.Errorf("index %d, want the free 7", index)
	}
}

func TestPtsDirectory(t *testing.T) {
	d := root(t, dev.Options{})
	pts := lookup(t, d, "pts").(vfs.Dir)
	want := []string{"ptmx"}
	var masters []vfs.File
	for i := range 11 {
		m, _ := openMaster(t, d)
		masters = append(masters, m)
		want = append(want, strconv.Itoa(i))
	}
	sort.Strings(want)
	for _, max := range []int{1, 4, 100} {
		if got := names(t, pts, max); !slices.Equal(got, want) {
			t.Errorf("max %d: %q", max, got)
		}
	}
	// Names that stay are listed once while others come and go.
	f, err := vfs.Open(ctx, pts, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := f.(vfs.DirReader).ReadDir(ctx, 0, 5)
	if err != nil || fmt.Sprint(list[4].Name) != "3" {
		t.Fatalf("%v, %v", list, err)
	}
	masters[3].Close()
	masters[4].Close()
	list, err = f.(vfs.DirReader).ReadDir(ctx, list[4].Next, 100)
	if err != nil || len(list) != 6 || list[0].Name != "5" || list[5].Name != "10" {
		t.Errorf("%v, %v", list, err)
	}
	checkErr(t, "make", func() error {
		_, err := vfs.Make(ctx, pts, "x", vfs.MakeOptions{Mode: unix.S_IFREG})
		return err
	}(), syscall.EPERM)
	checkErr(t, "remove", vfs.Remove(ctx, pts, "0", false), syscall.EPERM)
	checkErr(t, "rmdir pts", vfs.Remove(ctx, d, "pts", true), syscall.EBUSY)
}

func TestTooManyTerminals(t *testing.T) {
	d := root(t, dev.Options{})
	n := lookup(t, d, "ptmx")
	var all []vfs.File
	for {
		f, err := vfs.Open(ctx, n, 0)
		if err != nil {
			checkErr(t, "one too many", err, syscall.ENOSPC)
			break
		}
		all = append(all, f)
		if len(all) > 5000 {
			t.Fatal("no limit")
		}
	}
	all[100].Close()
	f, err := vfs.Open(ctx, n, 0)
	checkErr(t, "when one is closed", err, nil)
	f.Close()
}
