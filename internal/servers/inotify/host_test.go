package inotify_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/hati-os/hati/internal/servers/inotify"
	"github.com/hati-os/hati/vfs"
)

var ctx = context.Background()

// node is a file of the model: what the host's directory holds, and what POSIX
// tells the registry of it.
type node struct {
	dir   bool
	links int
}

func (*node) Stat(context.Context) (vfs.Attr, error) { return vfs.Attr{}, nil }

type dirNode struct{ node }

func (*dirNode) Lookup(context.Context, string) (vfs.Node, error) { return nil, syscall.ENOENT }

// model does each operation on the host and tells the registry what it was.
type model struct {
	t     *testing.T
	root  string
	reg   inotify.Registry
	inst  *inotify.Instance
	fd    int
	dirs  [3]vfs.Node // the root, a and b
	paths [3]string
	files [3]map[string]vfs.Node
	nodes map[vfs.Node]*node
	log   []string
}

func newModel(t *testing.T) *model {
	root, err := os.MkdirTemp("", "i")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	m := &model{t: t, root: root, nodes: make(map[vfs.Node]*node)}
	for i, name := range []string{".", "a", "b"} {
		m.paths[i] = filepath.Join(root, name)
		os.Mkdir(m.paths[i], 0o755)
		m.dirs[i] = m.newNode(true)
		m.files[i] = make(map[string]vfs.Node)
	}
	m.inst = m.reg.New()
	if m.fd, err = unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(m.fd); m.inst.Close() })
	return m
}

func (m *model) newNode(dir bool) vfs.Node {
	if dir {
		n := &dirNode{node{dir: true, links: 1}}
		m.nodes[n] = &n.node
		return n
	}
	n := &node{links: 1}
	m.nodes[n] = n
	return n
}

func (m *model) ok(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatalf("%s\n%v", strings.Join(m.log, "\n"), err)
	}
}

func isDir(dir bool) uint32 {
	if dir {
		return unix.IN_ISDIR
	}
	return 0
}

// unlink tells that a name of n is gone.
func (m *model) unlink(n, dir vfs.Node, name string, open bool) {
	m.nodes[n].links--
	m.reg.Unlink(n, m.nodes[n].dir, dir, name, m.nodes[n].links == 0 && !open)
}

// step does one random operation.
func (m *model) step(rng *rand.Rand) {
	d := 1 + rng.IntN(2)
	name := string("xyz"[rng.IntN(3)])
	path := filepath.Join(m.paths[d], name)
	dir, n := m.dirs[d], m.files[d][name]
	note := func(format string, args ...any) { m.log = append(m.log, fmt.Sprintf(format, args...)) }
	tell := func(mask uint32) { m.reg.Notify(n, dir, name, mask, 0) }
	if n == nil {
		switch rng.IntN(3) {
		case 0:
			note("create %s", path)
			f, err := os.Create(path)
			m.ok(err)
			m.ok(f.Close())
			n = m.newNode(false)
			m.files[d][name] = n
			tell(unix.IN_CREATE)
			tell(unix.IN_OPEN)
			tell(unix.IN_CLOSE_WRITE)
		case 1:
			note("mkdir %s", path)
			m.ok(os.Mkdir(path, 0o755))
			n = m.newNode(true)
			m.files[d][name] = n
			tell(unix.IN_CREATE | unix.IN_ISDIR)
		}
		return
	}
	directory := m.nodes[n].dir
	switch op := rng.IntN(10); {
	case op == 0:
		note("chmod %s", path)
		m.ok(os.Chmod(path, 0o700))
		tell(unix.IN_ATTRIB | isDir(directory))
	case op == 1 && directory:
		note("readdir %s", path)
		_, err := os.ReadDir(path)
		m.ok(err)
		tell(unix.IN_OPEN | unix.IN_ISDIR)
		tell(unix.IN_ACCESS | unix.IN_ISDIR)
		tell(unix.IN_ACCESS | unix.IN_ISDIR) // the read that finds the end
		tell(unix.IN_CLOSE_NOWRITE | unix.IN_ISDIR)
	case op < 4 && directory:
		note("rmdir %s", path)
		m.ok(unix.Rmdir(path))
		delete(m.files[d], name)
		m.unlink(n, dir, name, false)
	case op == 1:
		note("write %s", path)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		m.ok(err)
		_, err = f.Write([]byte("hello"))
		m.ok(err)
		m.ok(f.Close())
		tell(unix.IN_OPEN)
		tell(unix.IN_MODIFY)
		tell(unix.IN_CLOSE_WRITE)
	case op == 2:
		note("unlink %s", path)
		m.ok(unix.Unlink(path))
		delete(m.files[d], name)
		m.unlink(n, dir, name, false)
	case op == 3:
		note("write unlinked %s", path)
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		m.ok(err)
		m.ok(unix.Unlink(path))
		_, err = f.Write([]byte("hello"))
		m.ok(err)
		m.ok(f.Close())
		delete(m.files[d], name)
		tell(unix.IN_OPEN)
		m.unlink(n, dir, name, true)
		tell(unix.IN_MODIFY | inotify.Unlinked)
		tell(unix.IN_CLOSE_WRITE | inotify.Unlinked)
		if m.nodes[n].links == 0 {
			m.reg.Delete(n)
		}
	case op < 7:
		to, toName := 1+rng.IntN(2), string("xyz"[rng.IntN(3)])
		target := m.files[to][toName]
		note("rename %s to %s/%s", path, m.paths[to], toName)
		err := unix.Rename(path, filepath.Join(m.paths[to], toName))
		if err != nil || target == n { // of kinds that do not fit, or nothing to do
			return
		}
		delete(m.files[d], name)
		m.files[to][toName] = n
		m.reg.Rename(n, directory, dir, name, m.dirs[to], toName, target)
		if target == nil {
			return
		}
		if m.nodes[target].links--; m.nodes[target].links == 0 {
			m.reg.Delete(target)
		}
	case op == 7 && !directory:
		toName := string("xyz"[rng.IntN(3)])
		if m.files[d][toName] != nil {
			return
		}
		note("link %s to %s", path, toName)
		m.ok(unix.Link(path, filepath.Join(m.paths[d], toName)))
		m.nodes[n].links++
		m.files[d][toName] = n
		m.reg.Notify(n, nil, "", unix.IN_ATTRIB, 0)
		m.reg.Notify(n, dir, toName, unix.IN_CREATE, 0)
	}
}

// watch adds or removes a watch in both worlds.
func (m *model) watch(rng *rand.Rand) {
	if rng.IntN(6) == 0 {
		wd := rng.IntN(8)
		_, herr := unix.InotifyRmWatch(m.fd, uint32(wd))
		err := m.inst.Remove(int32(wd))
		m.same(fmt.Sprint("remove ", wd), errno(herr), errno(err))
		return
	}
	d := rng.IntN(3)
	path, n := m.paths[d], m.dirs[d]
	if rng.IntN(2) == 0 && d > 0 {
		name := string("xyz"[rng.IntN(3)])
		if n = m.files[d][name]; n == nil {
			return
		}
		path = filepath.Join(path, name)
	}
	mask := uint32(unix.IN_ALL_EVENTS)
	if rng.IntN(2) == 0 {
		mask &= rng.Uint32()
	}
	if rng.IntN(3) == 0 {
		mask |= 1 << (24 + rng.IntN(8))
	}
	if rng.IntN(10) == 0 {
		mask |= 1 << rng.IntN(32)
	}
	wd, herr := unix.InotifyAddWatch(m.fd, path, mask)
	ours, err := m.inst.Add(n, mask)
	if err != nil {
		ours = -1
	}
	m.same(fmt.Sprintf("add %s %#x", path, mask), fmt.Sprint(wd, errno(herr)), fmt.Sprint(ours, errno(err)))
}

func (m *model) same(what string, host, ours any) {
	m.t.Helper()
	m.log = append(m.log, fmt.Sprintf("%s = %v", what, host))
	if host != ours {
		m.t.Fatalf("%s\n%s: host %v\nours %v", strings.Join(m.log, "\n"), what, host, ours)
	}
}

func errno(err error) syscall.Errno {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) {
		panic(err)
	}
	return e
}

// decode spells events out, with cookies as small numbers.
func decode(b []byte) string {
	var s strings.Builder
	cookies := make(map[uint32]int)
	for len(b) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
		cookie, n := binary.NativeEndian.Uint32(b[8:]), binary.NativeEndian.Uint32(b[12:])
		if _, ok := cookies[cookie]; !ok && cookie != 0 {
			cookies[cookie] = len(cookies) + 1
		}
		fmt.Fprintf(&s, "\n  wd %d mask %#x cookie %d name %q", wd, mask, cookies[cookie], b[16:16+n])
		b = b[16+n:]
	}
	return s.String()
}

func (m *model) read(size int) {
	m.t.Helper()
	h, err := unix.IoctlGetInt(m.fd, unix.TIOCINQ)
	m.ok(err)
	b, o := make([]byte, size), make([]byte, size)
	hn, herr := unix.Read(m.fd, b)
	buffered := m.inst.Buffered()
	on, err := m.inst.Read(ctx, o, 0)
	hn, on = max(hn, 0), max(on, 0)
	m.same(fmt.Sprint("read ", size), fmt.Sprint(errno(herr), decode(b[:hn])), fmt.Sprint(errno(err), decode(o[:on])))
	if h != buffered && size < 1<<16 {
		m.read(1 << 16) // tells what differs
	}
	m.same("FIONREAD", h, buffered)
}

func TestAgainstHost(t *testing.T) {
	for seed := range uint64(120) {
		rng := rand.New(rand.NewPCG(seed, 4))
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) {
			m := newModel(t)
			for range 80 {
				switch rng.IntN(5) {
				case 0:
					m.watch(rng)
				case 1:
					m.read([...]int{0, 15, 16, 31, 32, 100, 4096}[rng.IntN(7)])
				default:
					m.step(rng)
				}
				p := []unix.PollFd{{Fd: int32(m.fd), Events: int16(vfs.EventsIn | vfs.EventsOut)}}
				for {
					if _, err := unix.Poll(p, 0); err == nil {
						break
					} else if err != unix.EINTR { // Go's preemption signals
						t.Fatal(err)
					}
				}
				m.same("poll", vfs.Events(uint16(p[0].Revents)), m.inst.Poll(vfs.EventsIn|vfs.EventsOut))
			}
			m.read(1 << 16)
		}) {
			return
		}
	}
}
