package mountcatch

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The child is this program with these variables: what it is to do, and where.
const (
	childVar = "MOUNTCATCH_CHILD"
	dirVar   = "MOUNTCATCH_DIR"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childVar); what != "" {
		if err := children[what](os.Getenv(dirVar)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const options = "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other"

// mount opens the device and mounts it as libfuse does.
func mount(dir string) (int, error) {
	fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open: %w", err)
	}
	if err := unix.Mount("source", dir, "fuse.sub", unix.MS_NOSUID|unix.MS_RDONLY, fmt.Sprintf(options, fd)); err != nil {
		return -1, fmt.Errorf("mount: %w", err)
	}
	return fd, nil
}

var children = map[string]func(dir string) error{
	"mount": func(dir string) error {
		fd, err := mount(dir)
		if err != nil {
			return err
		}
		if _, err := unix.Write(fd, []byte("hello")); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if f, err := os.Open(filepath.Join(dir, pollFile)); err != nil {
			return err
		} else {
			f.Close()
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("remount: %w", err)
		}
		if err := unix.Mount("", dir, "", unix.MS_REMOUNT, ""); err != unix.EINVAL {
			return fmt.Errorf("remount to be written to: %v", err)
		}
		return unix.Unmount(dir, 0)
	},
	"relative": func(dir string) error {
		if err := os.Chdir(filepath.Dir(dir)); err != nil {
			return err
		}
		if _, err := mount(filepath.Base(dir)); err != nil {
			return err
		}
		return unix.Unmount(filepath.Base(dir), unix.UMOUNT_NOFOLLOW)
	},
	"twice": func(dir string) error {
		fd, err := mount(dir)
		if err != nil {
			return err
		}
		if err := unix.Mount("", dir, "fuse", 0, fmt.Sprintf(options, fd)); err != unix.EBUSY {
			return fmt.Errorf("the second mount: %v", err)
		}
		return nil
	},
	"elsewhere": func(dir string) error {
		if err := unix.Mount("", "/", "fuse", 0, fmt.Sprintf(options, 0)); err != unix.EINVAL {
			return fmt.Errorf("mount on /: %v", err)
		}
		if err := unix.Mount("none", dir+"/none", "tmpfs", 0, ""); err != unix.ENOENT && err != unix.EPERM {
			return fmt.Errorf("another file system on nothing: %v", err)
		}
		if err := unix.Unmount(dir+"/none", 0); err != unix.ENOENT && err != unix.EPERM {
			return fmt.Errorf("umount of nothing: %v", err)
		}
		if _, err := unix.Fsopen("fuse", 0); err != unix.ENOSYS {
			return fmt.Errorf("fsopen: %v", err)
		}
		if f, err := os.Open("/dev/null"); err != nil {
			return err
		} else {
			f.Close()
		}
		_, err := mount(dir)
		return err
	},
	"none": func(string) error { return nil },
	"fail": func(string) error { return errors.New("failed") },
}

func TestCatch(t *testing.T) {
	for _, opens := range []bool{false, true} {
		if fd, err := unix.Open(device, unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
			unix.Close(fd)
		} else if !opens {
			continue
		}
		for _, what := range []string{"mount", "relative", "twice", "elsewhere", "none", "fail"} {
			t.Run(fmt.Sprintf("%s,opens=%v", what, opens), func(t *testing.T) { catch(t, what, opens) })
		}
	}
}

func catch(t *testing.T, what string, opens bool) {
	dir := filepath.Join(t.TempDir(), "point")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(p[0]), "ours"), os.NewFile(uintptr(p[1]), "theirs")
	defer ours.Close()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), childVar+"="+what, dirVar+"="+dir)
	var said strings.Builder
	cmd.Stderr = &said
	started, ended := make(chan *Catcher, 1), make(chan error, 1)
	Go(func() {
		c, err := start(dir, theirs, opens)
		if err == nil {
			err = cmd.Start()
		}
		started <- c
		if err == nil {
			err = cmd.Wait()
		}
		ended <- err
	})
	c := <-started
	err = <-ended
	if c == nil {
		t.Fatal(err)
	}
	m, ok := <-c.Mounted() // closed when the thread has ended, too
	c.Close()
	if what == "fail" != (err != nil) {
		t.Errorf("the program: %v: %s", err, said.String())
	}
	if want := what != "none" && what != "fail"; ok != want {
		t.Fatalf("mounted: %v, want %v", ok, want)
	}
	if ok && (m.Source != "source" || m.Type != "fuse.sub" || m.Flags != unix.MS_NOSUID|unix.MS_RDONLY ||
		!slices.Equal(m.Options, []string{"rootmode=40000", "user_id=0", "group_id=0", "allow_other"})) {
		t.Errorf("%+v", m)
	}
	// All of the program's ends are closed, and so is the catcher's.
	var b [16]byte
	if what == "mount" {
		if n, err := ours.Read(b[:]); string(b[:n]) != "hello" {
			t.Errorf("through the channel: %q, %v", b[:n], err)
		}
	}
	if n, err := ours.Read(b[:]); n != 0 {
		t.Errorf("at the end: %d, %v", n, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the directory is still there: %v", err)
	}
}
