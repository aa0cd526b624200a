package lane_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

func listen(t *testing.T, cfg lane.Config) (*lane.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := lane.Listen(path, 0o600, cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Serve(ctx, echo, lane.ServeOptions{}, nil)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return l, path
}

// Clients that connect and say nothing keep out nobody else, and do not hold up
// the listener's end.
func TestSilentClients(t *testing.T) {
	l, path := listen(t, lane.Config{})
	before := countFDs()
	for range 300 {
		c, err := net.Dial("unixpacket", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := lane.Dial(within(t), path, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Call(within(t), &lane.Message{Op: opEcho}, nil); err != nil {
		t.Fatal(err)
	}
	if held := countFDs() - before - 300; held > 80 {
		t.Errorf("the listener holds %d descriptors", held)
	}
	start := time.Now()
	l.Close()
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("closing took %v", d)
	}
}

// A server without descriptors turns clients away, waits for the next without
// turning in circles, can be closed meanwhile, and goes on when there are some again.
func TestListenerWithoutDescriptors(t *testing.T) {
	_, path := listen(t, lane.Config{})
	other, otherPath := listen(t, lane.Config{})
	var socks [2]int
	for i := range socks {
		var err error
		if socks[i], err = unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
		defer unix.Close(socks[i])
	}
	countFDs() // what it needs once
	var old unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &old)
	var all []int
	func() {
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &old)
		less := unix.Rlimit{Cur: 128, Max: old.Max}
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &less); err != nil {
			t.Fatal(err)
		}
		for {
			fd, err := unix.FcntlInt(uintptr(socks[0]), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				break
			}
			all = append(all, fd)
		}
		for i, path := range []string{path, otherPath} {
			if err := unix.Connect(socks[i], &unix.SockaddrUnix{Name: path}); err != nil {
				t.Fatal(err)
			}
			if n, err := unix.Read(socks[i], make([]byte, 64)); n > 0 || err != nil && err != unix.ECONNRESET {
				t.Errorf("not turned away: %d, %v", n, err)
			}
		}
		var before, after unix.Rusage
		unix.Getrusage(unix.RUSAGE_SELF, &before)
		<-time.After(50 * time.Millisecond)
		unix.Getrusage(unix.RUSAGE_SELF, &after)
		if used := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()); used > 40*time.Millisecond {
			t.Errorf("waiting took %v of processor time in 50 ms", used)
		}
		other.Close()
	}()
	for _, fd := range all {
		unix.Close(fd)
	}
	c, err := lane.Dial(within(t), path, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// An error says what failed, at what, and what to do.
func TestConnectErrors(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	dead, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: at("dead"), Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	stream, err := net.Listen("unix", at("stream"))
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, live := listen(t, lane.Config{Protocol: "kv", Version: 3, Oldest: 2, Slots: 64, Arena: 1 << 16})
	small := lane.Config{Protocol: "kv", Version: 3, Slots: 64, Arena: 1 << 16}
	with := func(f func(c *lane.Config)) lane.Config { c := small; f(&c); return c }
	for _, tc := range []struct {
		name, path string
		cfg        lane.Config
		is         error
		says       string
	}{
		{"missing", at("missing"), small, syscall.ENOENT, "no server has made it"},
		{"dead", at("dead"), small, syscall.ECONNREFUSED, "one may have died"},
		{"a file", at("file"), small, syscall.ECONNREFUSED, at("file")},
		{"a stream", at("stream"), small, syscall.EPROTOTYPE, "another type"},
		{"too long", strings.Repeat("x", 200), small, syscall.EINVAL, "107"},
		{"too large", live, with(func(c *lane.Config) { c.Arena = 1 << 20 }), nil, "65536"},
		{"other protocol", live, with(func(c *lane.Config) { c.Protocol = "fs" }), lane.ErrVersion, `"kv", not "fs"`},
		{"newer", live, with(func(c *lane.Config) { c.Version = 4 }), lane.ErrVersion, "2 to 3"},
		{"older", live, with(func(c *lane.Config) { c.Version = 1 }), lane.ErrVersion, "2 to 3"},
	} {
		_, err := lane.Dial(within(t), tc.path, tc.cfg)
		if err == nil {
			t.Errorf("%s: connected", tc.name)
			continue
		}
		if tc.is != nil && !errors.Is(err, tc.is) || tc.is == nil && errors.Is(err, lane.ErrVersion) ||
			!strings.Contains(err.Error(), tc.says) || strings.Count(err.Error(), "mismatch") > 1 || strings.Count(err.Error(), tc.path) != 1 {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	for name, want := range map[string]string{"dead": "ListenAnew", "missing/x": "no such file"} {
		if _, err := lane.Listen(at(name), 0o600, small); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("listening at %s: %v", name, err)
		}
	}
	for _, path := range []string{live, at("file")} {
		if _, err := lane.ListenAnew(path, 0o600, small); !errors.Is(err, syscall.EADDRINUSE) || strings.Contains(err.Error(), "ListenAnew") {
			t.Errorf("listening anew at %s: %v", path, err)
		}
	}
	c, err := lane.Dial(within(t), live, with(func(c *lane.Config) { c.Version, c.Oldest = 9, 1 }))
	if err != nil || c.Version() != 3 {
		t.Fatalf("the newest version that both speak: %v", err)
	}
	c.Close()
}

// A lane that comes over another may be no larger than its receiver allows.
func TestReceivedLanesAreBounded(t *testing.T) {
	large := lane.Config{Slots: 1024, Arena: 64 << 20}
	for _, tc := range []struct {
		mine lane.Config
		err  error
	}{{lane.Config{}, syscall.EMSGSIZE}, {large, nil}} {
		c, s, err := lane.PairShared(tc.mine)
		if err != nil {
			t.Fatal(err)
		}
		var ran atomic.Bool
		s.Handle(func(context.Context, *lane.Request) error { ran.Store(true); return nil }, lane.ServeOptions{})
		one, other := lane.Pair(large)
		before := countFDs()
		if err := c.Call(within(t), &lane.Message{Objects: []lane.Object{other}}, nil); !errors.Is(err, tc.err) || ran.Load() != (tc.err == nil) {
			t.Errorf("%v, handled %v", err, ran.Load())
		}
		if now := countFDs(); now > before+1 { // one's socket
			t.Errorf("%d descriptors, %d before", now, before)
		}
		one.Close()
		s.Close()
		c.Close()
	}
}
