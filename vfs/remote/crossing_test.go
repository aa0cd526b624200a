package remote_test

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// job hears of a terminal's signals.
type job chan string

func (j job) Signal(pgrp int, sig syscall.Signal) { j <- fmt.Sprint("signal ", pgrp, " ", int(sig)) }
func (j job) Hangup(_ vfs.Line, sid, foreground int) {
	j <- fmt.Sprint("hangup ", sid, " ", foreground)
}

type memoryArg []byte

func (m memoryArg) Value() uint64                   { return 9 }
func (m memoryArg) ReadAt(p []byte, off int) error  { copy(p, m[off:]); return nil }
func (m memoryArg) WriteAt(p []byte, off int) error { copy(m[off:], p); return nil }

// callerContext is that of a system call.
type callerContext struct{ context.Context }

func (c callerContext) Value(key any) any {
	if _, ok := key.(vfs.CallerKey); ok {
		return c
	}
	return c.Context.Value(key)
}
func (callerContext) Caller() vfs.Caller { return vfs.Caller{UID: 11, PID: 22} }
func (callerContext) HostPID() int32     { return 33 }
func (callerContext) FileOf(int) (vfs.File, func(), error) {
	return nil, nil, syscall.EIO // must not be asked
}

// crossing is what a check has: the client's side of everything.
type crossing struct {
	*testing.T
	w         *whole
	fs        vfs.FS
	terminals *remote.Terminals
	jobs      job
	root      vfs.Node
}

func (x *crossing) node(name string) vfs.Node {
	x.Helper()
	n, err := vfs.Lookup(ctx, x.root, name)
	if err != nil {
		x.Fatal(err)
	}
	return n
}

func (x *crossing) open(name string) vfs.File {
	x.Helper()
	f, err := vfs.Open(ctx, x.node(name), unix.O_RDWR)
	if err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { f.Close() })
	return f
}

// asked checks that a call came to the server.
func (x *crossing) asked(err error, what string) {
	x.Helper()
	if err != nil {
		x.Error(err)
	}
	if !x.w.asked(what) {
		x.w.mu.Lock()
		defer x.w.mu.Unlock()
		x.Errorf("the server was not asked %q: %q", what, x.w.calls)
	}
}

func (x *crossing) same(got, want any) {
	x.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		x.Errorf("got %v, want %v", got, want)
	}
}

// crossings says of every interface of package vfs how it crosses.
var crossings = map[string]func(x *crossing){
	"FS":   func(x *crossing) { _, err := x.fs.Root(ctx); x.same(err, nil) },
	"Node": func(x *crossing) { a, _ := x.root.Stat(ctx); x.same(a.Mode, unix.S_IFDIR|0o755) },
	"Statfser": func(x *crossing) {
		s, err := x.fs.(vfs.Statfser).Statfs(ctx)
		x.same(fmt.Sprint(s.Type, err), "77 <nil>")
	},
	"Dir":    func(x *crossing) { x.node("file") },
	"Opener": func(x *crossing) { x.open("file") },
	"Readlinker": func(x *crossing) {
		s, err := x.node("link").(vfs.Readlinker).Readlink(ctx)
		x.same(fmt.Sprint(s, err), "there<nil>")
	},
	"Maker": func(x *crossing) {
		_, err := x.root.(vfs.Maker).Make(ctx, "m", vfs.MakeOptions{Mode: 0o100600})
		x.asked(err, "make m 100600")
	},
	"MakeOpener": func(x *crossing) {
		_, f, err := x.root.(vfs.MakeOpener).MakeOpen(ctx, "m", vfs.MakeOptions{Mode: 0o100600}, unix.O_RDWR)
		x.asked(err, "makeopen m 100600")
		f.Close()
	},
	"Tmpfiler": func(x *crossing) {
		_, err := x.root.(vfs.Tmpfiler).Tmpfile(ctx, vfs.MakeOptions{Mode: 0o100600})
		x.asked(err, "tmpfile 100600")
	},
	"Remover": func(x *crossing) { x.asked(x.root.(vfs.Remover).Remove(ctx, "m", true), "remove m true") },
	"Renamer": func(x *crossing) {
		x.asked(x.root.(vfs.Renamer).Rename(ctx, "a", x.root.(vfs.Dir), "b", 2), "rename a true b 2")
	},
	"Linker": func(x *crossing) {
		x.asked(x.root.(vfs.Linker).Link(ctx, x.node("file"), "l"), "link true l")
	},
	"AttrSetter": func(x *crossing) {
		x.asked(x.root.(vfs.AttrSetter).SetAttr(ctx, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o640}), "setattr 640")
		x.asked(x.open("file").(vfs.AttrSetter).SetAttr(ctx, vfs.SetAttr{Valid: vfs.SetMode, Mode: 0o604}), "setattr 604")
	},
	"Xattrer": func(x *crossing) {
		n := x.node("file").(vfs.Xattrer)
		v, _ := n.Getxattr(ctx, "user.a")
		x.same(string(v), "of user.a")
		list, _ := n.Listxattr(ctx)
		x.same(list, []string{"user.a"})
		x.asked(n.Setxattr(ctx, "user.b", []byte("v"), 1), "setxattr user.b=v 1")
		x.asked(n.Removexattr(ctx, "user.b"), "removexattr user.b")
	},
	"Accesser": func(x *crossing) {
		err := x.root.(vfs.Accesser).Access(callerContext{ctx}, 4)
		x.asked(err, "access 4 by 11 of 22 (33), his files: operation not supported")
	},
	"CallerSource":  nil, // with Accesser
	"FileSource":    nil, // refused: with Accesser
	"HostPIDSource": nil, // with Accesser
	"FinalSource":   nil, // TestC13_StoppedServer
	"Jumper":        nil, // what it leads to is POSIX's own; the magic links of /proc are the only ones
	"Unmounter": func(x *crossing) {
		if _, ok := x.fs.(vfs.Unmounter); !ok {
			x.Error("an unmount does not end the lane")
		}
	},
	"Locker": func(x *crossing) {
		l := vfs.Lock{Type: unix.F_WRLCK, End: 10}
		n := x.root.(vfs.Locker)
		got, err := n.GetLock(ctx, l)
		x.same(fmt.Sprint(got.PID, err), "5 <nil>")
		x.asked(n.SetLock(ctx, l, true), "setlock 1 true")
		x.asked(x.open("file").(vfs.Locker).SetLock(ctx, l, false), "file's setlock 1 false")
	},
	"LockSharer": func(x *crossing) {
		l := vfs.Lock{Type: unix.F_RDLCK, End: 10}
		x.asked(x.open("file").(vfs.LockSharer).SharedLocks().SetLock(ctx, l, true), "shared setlock 0 true")
	},
	"File": func(x *crossing) {
		f := x.open("file")
		x.same(f.Node() == x.node("file"), true)
		f.Close()
		x.open("file") // which comes after the close
		x.asked(nil, "close")
	},
	"Reader": func(x *crossing) { x.same(content(x.open("file")), "at 0") },
	"Writer": func(x *crossing) {
		_, err := x.open("file").(vfs.Writer).Write(ctx, []byte("w"), 7)
		x.asked(err, "write w 7")
	},
	"Appender": func(x *crossing) {
		_, end, err := x.open("file").(vfs.Appender).Append(ctx, []byte("a"))
		x.asked(err, "append a")
		x.same(end, 100)
	},
	"Streamer":  func(x *crossing) { x.same(vfs.IsStream(x.open("file")), true) },
	"Messenger": func(x *crossing) { x.same(x.open("file").(vfs.Messenger).Message(), true) },
	"DirReader": func(x *crossing) {
		f, _ := vfs.Open(ctx, x.root, unix.O_RDONLY)
		list, err := f.(vfs.DirReader).ReadDir(ctx, 0, 10)
		x.same(fmt.Sprint(list, err), "[{file 0 0 3}] <nil>")
		f.Close()
	},
	"Seeker": func(x *crossing) {
		n, err := x.open("file").(vfs.Seeker).SeekData(ctx, 5, true)
		x.same(fmt.Sprint(n, err), "6 <nil>")
	},
	"Syncer":  func(x *crossing) { x.asked(x.open("file").(vfs.Syncer).Sync(ctx, true), "sync true") },
	"Flusher": func(x *crossing) { x.asked(x.open("file").(vfs.Flusher).Flush(ctx), "flush") },
	"Allocator": func(x *crossing) {
		x.asked(x.open("file").(vfs.Allocator).Allocate(ctx, 1, 2, 3), "allocate 1 2 3")
	},
	"RangeCopier": func(x *crossing) {
		_, err := x.open("file").(vfs.RangeCopier).CopyRange(ctx, 1, x.open("file"), 2, 3)
		x.asked(err, "copy 1 true 2 3")
	},
	"Ioctler": func(x *crossing) {
		arg := memoryArg("xxabcd")
		n, err := x.open("file").(vfs.Ioctler).Ioctl(ctx, 42, arg)
		x.same(fmt.Sprint(n, err, string(arg)), "42 <nil>ABCDcd")
	},
	"IoctlArg": nil, // with Ioctler
	"Mapper": func(x *crossing) {
		m, err := x.open("file").(vfs.Mapper).Map(ctx, unix.PROT_READ, false)
		if x.same(fmt.Sprint(m.Offset, err), "4096 <nil>"); err == nil {
			m.Release()
		}
	},
	"Stores": nil, // such a map is not given to another process: TestStores
	"Lender": func(x *crossing) {
		as := func(n *wholeFileNode) vfs.File { return &wholeLender{wholeFile{n}} }
		x.w.dir.file.as.Store(&as)
		x.same(content(x.open("file")), "of the file")
		x.asked(nil, "lend")
	},
	"OffsetKeeper": func(x *crossing) {
		f := x.open("keeper").(vfs.OffsetKeeper)
		p := make([]byte, 10)
		n, _ := f.ReadNext(ctx, p)
		x.same(string(p[:n]), "next")
		_, err := f.WriteNext(ctx, []byte("w"))
		x.asked(err, "writenext w")
		off, _ := f.Lseek(ctx, 4, 2)
		x.same(off, 42)
	},
	"Pollable": func(x *crossing) { x.ready(x.open("tty").(vfs.Pollable)) },
	"Poller": func(x *crossing) {
		f := x.open("ask")
		if _, ok := f.(vfs.Pollable); ok {
			x.Error("its reads would be thought not to wait")
		}
		e, err := f.(vfs.Poller).PollNow(ctx, vfs.EventsIn|vfs.EventPri)
		x.same(e, vfs.EventPri)
		x.asked(err, "pollnow 0x43")
		x.ready(f.(vfs.Poller).Pollable())
	},
	"Terminal": func(x *crossing) {
		f := x.open("tty").(vfs.Terminal)
		x.same(f.IsMaster(), true)
		x.same(f.ReadRule(), vfs.ReadRule{Min: 3, Timeout: 2 * time.Second, PerByte: true})
	},
	"Line": func(x *crossing) {
		l := x.open("tty").(vfs.Terminal).Line()
		x.same(l == x.open("tty").(vfs.Terminal).Line(), true)
		x.same(l.StopsOutput(), true)
		l.SetSession(500)
		l.SetForeground(501)
		x.same(fmt.Sprint(l.Session(), l.Foreground()), "500 501")
		x.terminals.Signal(x.w.line.Foreground(), unix.SIGINT)
		x.same(<-x.jobs, "signal 501 2")
		again, err := l.(vfs.Opener).Open(ctx, unix.O_RDWR)
		if err != nil {
			x.Fatal(err)
		}
		x.same(again.(vfs.Terminal).Line() == l, true)
		again.Close()
		x.terminals.Hangup(x.w.line, x.w.line.Session(), 0)
		x.same(<-x.jobs, "hangup 500 501")
		x.same(fmt.Sprint(l.Session(), l.Foreground()), "0 0")
		l.SetSession(600)
		sid, _ := l.Hangup()
		x.same(sid, 600)
		x.asked(nil, "hangup")
	},
	"PeerOpener": func(x *crossing) {
		f, err := x.open("tty").(vfs.PeerOpener).OpenPeer(ctx, unix.O_RDWR)
		if err != nil {
			x.Fatal(err)
		}
		x.same(f.Node() == x.node("tty"), true)
		f.Close()
	},
}

// ready checks that readiness crosses.
func (x *crossing) ready(p vfs.Pollable) {
	x.Helper()
	x.same(p.Poll(vfs.EventPri), vfs.EventPri)
	woken := make(chan vfs.Events, 100)
	w := &vfs.Waiter{Mask: vfs.EventRdBand, Wake: func(_ *vfs.Waiter, e vfs.Events) { woken <- e }}
	p.Watch(w)
	defer p.Unwatch(w)
	eventually(x, "the server is watched", func() bool { return !x.w.ready.Empty() })
	x.w.ready.Notify(vfs.EventRdBand)
	<-woken
}

// Every interface of package vfs crosses, or is said not to.
func TestCrossing(t *testing.T) {
	names := vfsInterfaces(t)
	for name := range crossings {
		if !slices.Contains(names, name) {
			t.Errorf("package vfs has no interface %s", name)
		}
	}
	bothLanes(t, func(t *testing.T, shared bool) {
		for _, name := range names {
			check, known := crossings[name]
			if !known {
				t.Errorf("nobody says how vfs.%s crosses", name)
			}
			if check != nil {
				t.Run(name, func(t *testing.T) { check(newCrossing(t, shared)) })
			}
		}
	})
}

func newCrossing(t *testing.T, shared bool) *crossing {
	temp, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { temp.Close() })
	temp.WriteString("of the file")
	w := &whole{temp: temp}
	w.line = &wholeLine{w: w}
	node := func(mode uint32) wholeNode { return wholeNode{w, mode} }
	file := func(mode uint32, open func(*wholeFileNode) vfs.File) *wholeFileNode {
		return &wholeFileNode{wholeNode: node(mode), open: open}
	}
	w.dir = &wholeDir{wholeNode: node(unix.S_IFDIR | 0o755), link: &wholeLink{node(unix.S_IFLNK | 0o777)},
		file:   file(unix.S_IFREG|0o666, func(n *wholeFileNode) vfs.File { return &wholeFile{n} }),
		keeper: file(unix.S_IFREG|0o660, func(n *wholeFileNode) vfs.File { return &wholeKeeper{wholeFile{n}} }),
		ask:    file(unix.S_IFCHR|0o660, func(n *wholeFileNode) vfs.File { return &wholeAsk{wholeFile{n}} }),
		tty:    file(unix.S_IFCHR|0o666, func(n *wholeFileNode) vfs.File { return &wholeTTY{wholeFile{n}, &w.ready} }),
	}
	x := &crossing{T: t, w: w, terminals: &remote.Terminals{}, jobs: make(job, 10)}
	a, b := pair(t, shared)
	done := make(chan struct{})
	go func() {
		defer close(done)
		remote.Serve(ctx, b, w, remote.ServeOptions{Terminals: x.terminals})
	}()
	t.Cleanup(func() { <-done })
	c := newClient(t, a)
	c.SetJob(x.jobs)
	x.fs = c.FS()
	x.root, _ = x.fs.Root(ctx)
	return x
}

// vfsInterfaces are the names of package vfs's interfaces.
func vfsInterfaces(t *testing.T) (names []string) {
	files, _ := filepath.Glob("../*.go")
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if ts, ok := s.(*ast.TypeSpec); ok && ts.Name.IsExported() {
					if _, ok := ts.Type.(*ast.InterfaceType); ok {
						names = append(names, ts.Name.Name)
					}
				}
			}
		}
	}
	if len(names) < 30 {
		t.Fatalf("only these interfaces were found: %v", names)
	}
	return names
}
