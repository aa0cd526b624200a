package hostio_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func TestDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags int
		after string // content at the end
	}{
		{"plain", unix.O_RDWR, "he==o guest shell"},
		{"append", unix.O_RDWR | unix.O_APPEND, "hello guest shell=="},
	} {
		t.Run(c.name, func(t *testing.T) {
			checkCensus(t)
			name := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(name, []byte("hello"), 0o600); err != nil {
				t.Fatal(err)
			}
			fd, err := unix.Open(name, c.flags|unix.O_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			f := open(t, fd)[0]
			defer f.Close()
			if f.Flags() != c.flags {
				t.Errorf("flags %#o, want %#o", f.Flags(), c.flags)
			}
			if vfs.IsStream(f) {
				t.Error("a stream")
			}
			k := f.(vfs.OffsetKeeper)
			p := make([]byte, 100)
			if n, err := k.ReadNext(ctx, p); string(p[:n]) != "hello" || err != nil {
				t.Fatalf("read %q, %v", p[:n], err)
			}
			if n, err := k.WriteNext(ctx, []byte(" guest")); n != 6 || err != nil {
				t.Fatalf("write %d, %v", n, err)
			}
			if _, err := unix.Write(fd, []byte(" shell")); err != nil { // goes on where the guest stopped
				t.Fatal(err)
			}
			if off, err := k.Lseek(ctx, 0, unix.SEEK_CUR); off != 17 || err != nil {
				t.Errorf("offset %d, %v", off, err)
			}
			if off, err := k.Lseek(ctx, 3, unix.SEEK_SET); off != 3 || err != nil {
				t.Errorf("offset %d, %v", off, err)
			}
			if off, _ := unix.Seek(fd, 0, unix.SEEK_CUR); off != 3 {
				t.Errorf("the shell's offset is %d", off)
			}
			if n, err := vfs.Write(ctx, f, []byte("=="), 2); n != 2 || err != nil {
				t.Errorf("pwrite %d, %v", n, err)
			}
			if n, err := vfs.Read(ctx, f, p, 1); string(p[:n]) != c.after[1:] || err != nil {
				t.Errorf("pread %q, %v", p[:n], err)
			}
			if off, _ := unix.Seek(fd, 0, unix.SEEK_CUR); off != 3 {
				t.Errorf("pread or pwrite moved the offset to %d", off)
			}
			if n, end, err := f.(vfs.Appender).Append(ctx, []byte("!")); n != 1 || end != int64(len(c.after)+1) || err != nil {
				t.Errorf("append %d, %d, %v", n, end, err)
			}
			if got, _ := os.ReadFile(name); string(got) != c.after+"!" {
				t.Errorf("file has %q", got)
			}
		})
	}
}

func TestDiskMap(t *testing.T) {
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		flags, prot int
		shared      bool
		want        error
	}{
		{unix.O_RDONLY, unix.PROT_READ, true, nil},
		{unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, false, nil},
		{unix.O_RDONLY, unix.PROT_READ | unix.PROT_WRITE, true, syscall.EACCES},
		{unix.O_RDWR, unix.PROT_READ | unix.PROT_WRITE, true, nil},
		{unix.O_WRONLY, unix.PROT_READ, false, syscall.EACCES},
	} {
		fd, err := unix.Open(name, c.flags|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		f := open(t, fd)[0]
		unix.Close(fd)
		m, err := f.(vfs.Mapper).Map(ctx, c.prot, c.shared)
		if err != c.want {
			t.Errorf("%+v: %v", c, err)
		}
		if err == nil {
			flags := unix.MAP_PRIVATE
			if c.shared {
				flags = unix.MAP_SHARED
			}
			b, err := unix.Mmap(m.FD, m.Offset, 4096, c.prot, flags)
			if err != nil {
				t.Errorf("%+v: mmap %v", c, err)
			} else {
				unix.Munmap(b)
			}
			m.Release()
		}
		f.Close()
	}
}

func TestNullIsDisk(t *testing.T) {
	checkCensus(t)
	fd, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	f := open(t, fd)[0]
	unix.Close(fd)
	defer f.Close()
	if n, err := f.(vfs.OffsetKeeper).ReadNext(ctx, make([]byte, 5)); n != 0 || err != nil {
		t.Errorf("read %d, %v", n, err)
	}
	if n, err := f.(vfs.OffsetKeeper).WriteNext(ctx, make([]byte, 5)); n != 5 || err != nil {
		t.Errorf("write %d, %v", n, err)
	}
	if off, err := f.(vfs.OffsetKeeper).Lseek(ctx, 9, 0); off != 0 || err != nil {
		t.Errorf("lseek %d, %v", off, err)
	}
}

// TestSignalBefore: a file on a disk is neither read nor written when a signal waits,
// which is told, so that it can be done after that.
func TestSignalBefore(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := open(t, int(f.Fd()))[0]
	defer d.Close()
	k := d.(vfs.OffsetKeeper)
	for cause, want := range map[error]error{vfs.ErrInterrupted: vfs.ErrNotBegun, vfs.ErrKilled: vfs.ErrKilled} {
		ctx, stop := context.WithCancelCause(t.Context())
		stop(cause)
		b := []byte("hati")
		for what, f := range map[string]func() (int, error){
			"write":      func() (int, error) { return vfs.Write(ctx, d, b, 0) },
			"read":       func() (int, error) { return vfs.Read(ctx, d, b, 0) },
			"write next": func() (int, error) { return k.WriteNext(ctx, b) },
		} {
			if n, err := f(); n != 0 || err != want {
				t.Errorf("%s, %v: %d, %v", what, cause, n, err)
			}
		}
	}
	if a, err := f.Stat(); err != nil || a.Size() != 0 {
		t.Errorf("something was written: %v", err)
	}
}
