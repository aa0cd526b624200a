package remote_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/internal/servers/tmp"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// The test binary is also the servers that die: see startProcess.
func init() {
	var err error
	serve := func(fs vfs.FS, o remote.ServeOptions) error {
		l, err := remote.Listen(os.Getenv("REMOTE_TEST_SOCKET"), 0o600, lane.Config{})
		if err != nil {
			return err
		}
		fmt.Println("ready")
		return remote.ServeListener(ctx, l, fs, o)
	}
	switch os.Getenv("REMOTE_TEST_KIND") {
	default:
		return
	case "surviving":
		var files vfs.FS
		if files, err = host.New(os.Getenv("REMOTE_TEST_DIR"), host.Options{}); err == nil {
			err = serve(files, remote.ServeOptions{Survives: true, SharedWrites: true, Unordered: true})
		}
	case "relay":
		// What another server serves, once more.
		var c *remote.Client
		grace, _ := time.ParseDuration(os.Getenv("REMOTE_TEST_GRACE"))
		if c, err = dialWith(os.Getenv("REMOTE_TEST_DIR"), grace); err == nil {
			err = serve(c.FS(), remote.ServeOptions{})
		}
	case "forgetting":
		err = serve(tmp.New(tmp.Options{Mode: 0o777}), remote.ServeOptions{})
	}
	fmt.Println("error:", err)
	os.Exit(1)
}

// mortal is a server that is killed and started again, at the same socket.
type mortal struct {
	*testing.T
	kind, dir, path string
	p               *serverProcess
}

func newMortal(t *testing.T, kind string) *mortal {
	m := &mortal{T: t, kind: kind, dir: t.TempDir()}
	scratch, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(scratch) })
	m.path = filepath.Join(scratch, "s")
	m.start()
	return m
}

func (m *mortal) start() {
	m.p = startProcess(m.T, m.kind, filepath.Join(m.dir, "none"), m.dir, m.path)
}

func (m *mortal) end() {
	m.p.cmd.Process.Kill()
	m.p.in.Close()
	m.p.cmd.Wait()
}

func (m *mortal) client() *remote.Client {
	m.Helper()
	c, err := remote.Redial(ctx, remote.DialerOf(m.path))
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { c.Close() })
	return c
}

// kill ends the server; afterwards c knows.
func (m *mortal) kill(c *remote.Client) {
	m.Helper()
	m.end()
	eventually(m, "the lane's end", func() bool { return c.Err() != nil })
}

func (m *mortal) file(name, content string) {
	m.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, name), []byte(content), 0o644); err != nil {
		m.Fatal(err)
	}
}

func walk(t *testing.T, from vfs.Node, names ...string) vfs.Node {
	t.Helper()
	for _, name := range names {
		var err error
		if from, err = vfs.Lookup(ctx, from, name); err != nil {
			t.Fatalf("looking up %s: %v", name, err)
		}
		if _, err := from.Stat(ctx); err != nil { // as POSIX does, for the permissions
			t.Fatal(err)
		}
	}
	return from
}

func openNode(t *testing.T, n vfs.Node, flags int) vfs.File {
	t.Helper()
	f, err := vfs.Open(ctx, n, flags)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func content(f vfs.File) string {
	p := make([]byte, 100)
	n, err := vfs.Read(ctx, f, p, 0)
	if err != nil {
		return err.Error()
	}
	return string(p[:n])
}

// A server whose files survive it is followed by the next one: nodes are the same,
// open files go on, and what is not there any more is stale.
func TestRenewSurviving(t *testing.T) {
	m := newMortal(t, "surviving")
	os.MkdirAll(filepath.Join(m.dir, "a/b"), 0o755)
	for _, name := range []string{"a/b/read", "a/b/written", "a/b/moved", "a/b/removed", "a/b/replaced"} {
		m.file(name, "old "+name)
	}
	c := m.client()
	root, _ := c.FS().Root(ctx)
	b := walk(t, root, "a", "b")
	at := func(name string) vfs.Node { return walk(t, b, name) }
	read, written := openNode(t, at("read"), unix.O_RDONLY), openNode(t, at("written"), unix.O_RDWR|unix.O_APPEND)
	moved, removed, replaced := openNode(t, at("moved"), unix.O_RDONLY), openNode(t, at("removed"), unix.O_RDONLY), openNode(t, at("replaced"), unix.O_RDONLY)
	removedNode := at("removed")
	_, made, err := b.(vfs.MakeOpener).MakeOpen(ctx, "made", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}, unix.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	if err := vfs.Rename(ctx, b, "moved", root, "elsewhere", 0); err != nil {
		t.Fatal(err)
	}
	list := openNode(t, b, unix.O_RDONLY|unix.O_DIRECTORY)
	first, err := list.(vfs.DirReader).ReadDir(ctx, 0, 2)
	if err != nil || len(first) != 2 {
		t.Fatal(first, err)
	}
	for round := range 3 {
		m.kill(c)
		if _, err := b.Stat(ctx); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("stat without a server: %v", err)
		}
		if got := content(read); !errors.Is(readError(read), syscall.ENOTCONN) {
			t.Errorf("a read without a server: %q", got)
		}
		if round == 0 {
			os.Remove(filepath.Join(m.dir, "a/b/removed"))
			os.Rename(filepath.Join(m.dir, "a/b/replaced"), filepath.Join(m.dir, "old"))
			m.file("a/b/replaced", "another")
		}
		m.start()
		if round == 1 {
			// Somebody comes by another way first.
			if n, err := vfs.Lookup(ctx, walk(t, root, "a"), "b"); err != nil || n != b {
				t.Errorf("the directory is another node: %v, %v", n, err)
			}
		}
		if _, err := b.Stat(ctx); err != nil {
			t.Errorf("the directory: %v", err)
		}
		if n := walk(t, root, "a", "b"); n != b {
			t.Error("the directory is another node")
		}
		if n := walk(t, b, "read"); n != read.Node() {
			t.Error("the file is another node")
		}
		if got := content(read); got != "old a/b/read" {
			t.Errorf("read: %q", got)
		}
		if got := content(moved); got != "old a/b/moved" {
			t.Errorf("moved: %q", got)
		}
		if _, _, err := written.(vfs.Appender).Append(ctx, []byte("!")); err != nil {
			t.Errorf("append: %v", err)
		}
		if _, err := vfs.Write(ctx, made, []byte("x"), int64(round)); err != nil {
			t.Errorf("the file that was made: %v", err)
		}
		if err := readError(removed); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("a removed file: %v", err)
		}
		if err := readError(replaced); !errors.Is(err, syscall.ENOTCONN) {
			t.Errorf("a file in whose place there is another one: %v", err)
		}
		if _, err := removedNode.Stat(ctx); err != syscall.ESTALE {
			t.Errorf("the node of a removed file: %v", err)
		}
		if got := content(openNode(t, walk(t, b, "replaced"), unix.O_RDONLY)); got != "another" {
			t.Errorf("the new file: %q", got)
		}
	}
	names := []string{first[0].Name, first[1].Name}
	for cookie := first[1].Next; ; {
		more, err := list.(vfs.DirReader).ReadDir(ctx, cookie, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(more) == 0 {
			break
		}
		for _, e := range more {
			names, cookie = append(names, e.Name), e.Next
		}
	}
	slices.Sort(names)
	for _, name := range []string{"made", "read", "written"} {
		if n := slices.Index(names, name); n < 0 || slices.Contains(names[n+1:], name) {
			t.Errorf("the list went on with %q: %v", name, names)
		}
	}
	if got, _ := os.ReadFile(filepath.Join(m.dir, "a/b/written")); string(got) != "old a/b/written!!!" {
		t.Errorf("written: %q", got)
	}
}

func readError(f vfs.File) error {
	_, err := vfs.Read(ctx, f, make([]byte, 10), 0)
	return err
}

// Of a server that does not say that its files survive, only the root is found
// again.
func TestRenewForgetting(t *testing.T) {
	m := newMortal(t, "forgetting")
	c := m.client()
	root, _ := c.FS().Root(ctx)
	make1 := func() (vfs.Node, vfs.File) {
		n, f, err := root.(vfs.MakeOpener).MakeOpen(ctx, "f", vfs.MakeOptions{Mode: unix.S_IFREG | 0o600}, unix.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		return n, f
	}
	n, f := make1()
	n.Stat(ctx)
	m.kill(c)
	m.start()
	if _, err := vfs.Lookup(ctx, root, "f"); err != syscall.ENOENT {
		t.Errorf("looking for a file of the old server: %v", err)
	}
	n2, f2 := make1() // in the same place
	defer f2.Close()
	if n2 == n {
		t.Error("another server's file is the same node")
	}
	if _, err := n.Stat(ctx); err != syscall.ESTALE {
		t.Errorf("an old node: %v", err)
	}
	if err := readError(f); !errors.Is(err, remote.ErrGone) {
		t.Errorf("an old file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := readError(f2); err != nil {
		t.Errorf("a new file: %v", err)
	}
}

// TestRenewUnderLoad kills the server under 50 clients, again and again. Each of
// their operations is right, or fails as it may; afterwards all is well.
func TestRenewUnderLoad(t *testing.T) {
	deaths := 15
	if os.Getenv("HATI_HAMMER") != "" {
		deaths = 100
	}
	m := newMortal(t, "surviving")
	c := m.client()
	root, _ := c.FS().Root(ctx)
	before := faulttest.Now()
	const clients = 50
	var right, gone, doubt atomic.Int64
	stop, tick := make(chan struct{}), make(chan struct{}, 1)
	var work sync.WaitGroup
	for i := range clients {
		dir := fmt.Sprint("d", i)
		os.Mkdir(filepath.Join(m.dir, dir), 0o755)
		m.file(dir+"/kept", "0000")
		d := walk(t, root, dir)
		kept := openNode(t, walk(t, d, "kept"), unix.O_RDWR) // no server ends yet
		work.Go(func() {
			defer kept.Close()
			may := map[int]bool{0: true} // what may be in it
			for n := 1; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				select {
				case tick <- struct{}{}:
				default:
				}
				err := oneStep(t, root, d, dir, kept, n, may)
				switch {
				case err == nil:
					right.Add(1)
				case errors.Is(err, vfs.ErrInDoubt):
					doubt.Add(1)
				case errors.Is(err, syscall.ENOTCONN):
					gone.Add(1)
					runtime.Gosched()
				default:
					t.Errorf("client %d: %v", i, err)
					return
				}
			}
		})
	}
	for range deaths {
		for range 100 + rand.IntN(200) {
			<-tick
		}
		m.end()
		m.start()
		so := right.Load()
		eventually(t, "it goes on", func() bool { return right.Load() > so || t.Failed() })
	}
	close(stop)
	work.Wait()
	for i := range clients {
		if n := walk(t, root, fmt.Sprint("d", i), "kept"); n == nil {
			t.Error("a file is missing")
		}
	}
	t.Logf("%d deaths: %d right, %d not connected, %d in doubt", deaths, right.Load(), gone.Load(), doubt.Load())
	if right.Load() == 0 || t.Failed() {
		return
	}
	now := faulttest.Now()
	defer func() { t.Logf("before %v, now %v, %d nodes", before, now, c.Nodes()) }()
	eventually(t, "nothing is left", func() bool {
		now = faulttest.Now()
		return c.Nodes() < 4*clients && now.Goroutines <= before.Goroutines+2 && now.Heap <= before.Heap+8<<20 &&
			now.FDs <= before.FDs
	})
}

// oneStep is one operation of a client: on a file that it has open, or by name.
func oneStep(t *testing.T, root, d vfs.Node, dir string, kept vfs.File, n int, may map[int]bool) error {
	switch rand.IntN(4) {
	case 0:
		_, err := vfs.Write(ctx, kept, fmt.Appendf(nil, "%09d", n), 0)
		switch {
		case err == nil:
			clear(may)
			may[n] = true
		case errors.Is(err, vfs.ErrInDoubt):
			may[n] = true
		}
		return err
	case 1:
		p := make([]byte, 9)
		k, err := vfs.Read(ctx, kept, p, 0)
		if err != nil {
			return err
		}
		var got int
		fmt.Sscanf(string(p[:k]), "%d", &got)
		if !may[got] {
			t.Errorf("read %d, may be %v", got, may)
		}
		clear(may)
		may[got] = true
		return nil
	case 2:
		found, err := vfs.Lookup(ctx, root, dir)
		if err == nil && found != d {
			t.Error("the directory is another node")
		}
		return err
	}
	name := fmt.Sprint("f", n)
	node, err := vfs.Make(ctx, d, name, vfs.MakeOptions{Mode: unix.S_IFREG | 0o600, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())})
	if err != nil {
		return err
	}
	f, err := vfs.Open(ctx, node, unix.O_RDWR)
	if err == nil {
		f.Close()
	}
	if errors.Is(err, syscall.ESTALE) {
		err = nil // nobody had asked what it is
	}
	if e := vfs.Remove(ctx, d, name, false); err == nil {
		err = e
	}
	return err
}
