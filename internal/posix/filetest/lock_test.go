package filetest

import (
	"bufio"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

func init() {
	scenarios["locks"] = locks
	scenarios["deadlock"] = deadlock
	helpers["locker"] = locker
}

// peer is another process that does as it is told.
type peer struct {
	name string
	child
	out *bufio.Reader
}

func newPeer(name string) *peer {
	c := start("locker")
	return &peer{name, c, bufio.NewReader(c)}
}

func (p *peer) send(format string, args ...any) {
	must1(unix.Write(p.in, fmt.Appendf(nil, format+"\n", args...)))
}

func (p *peer) receive() string { return strings.TrimSpace(must1(p.out.ReadString('\n'))) }

// do reports what the peer's call returned.
func (p *peer) do(g *guest, format string, args ...any) {
	p.send(format, args...)
	g.printf("%s %s: %s", p.name, fmt.Sprintf(format, args...), p.receive())
}

func (p *peer) end() { p.wait() }

// locker obeys commands: "open fd", "close fd", "KIND COMMAND TYPE START LEN fd".
func locker(g *guest) {
	fds := map[string]int{}
	for {
		var line string
		var what, kind, name string
		var start, n int64
		if _, err := fmt.Scan(&what); err != nil {
			return
		}
		switch what {
		case "open", "close", "dup":
			fmt.Scan(&name)
			switch what {
			case "open":
				fds[name] = must1(unix.Open("f", unix.O_RDWR, 0))
			case "dup":
				fds[name+"dup"] = must1(unix.Dup(fds[name]))
			default:
				must(unix.Close(fds[name]))
			}
			line = "ok"
		case "flock":
			fmt.Scan(&kind, &name)
			op := 0
			for _, c := range kind {
				op |= map[rune]int{'s': unix.LOCK_SH, 'x': unix.LOCK_EX, 'u': unix.LOCK_UN, 'n': unix.LOCK_NB}[c]
			}
			line = errName(unix.Flock(fds[name], op))
		default:
			fmt.Scan(&kind, &start, &n, &name)
			l := unix.Flock_t{Start: start, Len: n, Type: map[string]int16{"r": unix.F_RDLCK, "w": unix.F_WRLCK, "u": unix.F_UNLCK}[kind]}
			cmd := map[string]int{
				"set": unix.F_SETLK, "wait": unix.F_SETLKW, "get": unix.F_GETLK,
				"oset": unix.F_OFD_SETLK, "owait": unix.F_OFD_SETLKW, "oget": unix.F_OFD_GETLK,
			}[what]
			line = errName(unix.FcntlFlock(uintptr(fds[name]), cmd, &l))
			if strings.HasSuffix(what, "get") {
				line = fmt.Sprintf("%s type %d whence %d start %d len %d pid %v", line, l.Type, l.Whence, l.Start, l.Len, min(l.Pid, 1))
			}
		}
		fmt.Println(line)
	}
}

func locks(g *guest) {
	touch("f")
	a, b := newPeer("a"), newPeer("b")
	for _, p := range []*peer{a, b} {
		p.do(g, "open 1")
		p.do(g, "open 2")
	}
	for _, c := range []struct {
		p   *peer
		cmd string
	}{
		{a, "set w 10 20 1"}, {b, "get w 0 0 1"}, {b, "get r 25 1 1"}, {b, "get r 30 1 1"}, {b, "set r 29 1 1"}, {b, "set w 30 5 1"},
		{a, "set u 15 5 1"}, {b, "get w 0 0 1"}, {b, "get w 15 5 1"}, {b, "get w 20 1 1"}, {a, "set r 10 3 1"}, {b, "set r 10 3 1"}, {b, "set w 10 3 1"},
		{a, "set w 10 3 1"}, {b, "set u 0 0 1"}, {a, "set w 10 3 1"},
		// Closing any descriptor ends the process's locks.
		{a, "close 2"}, {b, "get w 0 0 1"}, {a, "open 2"},
		// Neighbours join.
		{a, "set w 0 10 1"}, {a, "set w 10 10 1"}, {b, "get r 5 1 1"}, {a, "set u 0 0 1"},
		// Negative lengths, wrong ones.
		{a, "set w 10 -5 1"}, {b, "get w 0 0 1"}, {a, "set w 3 -5 1"}, {a, "set w -3 5 1"}, {a, "set w 9223372036854775807 1 1"}, {a, "set w 9223372036854775807 2 1"},
		{a, "set u 0 0 1"},
		// Locks of descriptions.
		{a, "oset w 0 10 1"}, {a, "oset w 0 10 2"}, {a, "set w 0 10 2"}, {b, "get w 0 0 1"}, {b, "oget w 5 0 1"}, {a, "dup 1"}, {a, "close 1"}, {b, "oget w 5 0 1"},
		{a, "close 1dup"}, {b, "oget w 5 0 1"}, {a, "open 1"},
		// flock is apart.
		{a, "flock x 1"}, {a, "flock xn 2"}, {a, "set w 0 0 1"}, {b, "flock sn 1"}, {a, "flock s 1"}, {b, "flock sn 1"}, {a, "flock xn 1"}, {b, "flock xn 1"}, {b, "flock u 1"},
		{a, "flock xn 1"}, {a, "flock q 1"}, {a, "close 1"}, {b, "flock xn 1"}, {b, "flock u 1"}, {a, "open 1"}, {a, "set u 0 0 1"},
	} {
		c.p.do(g, "%s", c.cmd)
	}
	// Waiting.
	a.do(g, "set w 0 10 1")
	b.send("wait w 5 10 1")
	a.do(g, "set u 0 10 1")
	g.printf("b has waited: %s", b.receive())
	a.send("wait r 0 0 1")
	b.do(g, "set u 0 0 1")
	g.printf("a has waited: %s", a.receive())
	a.do(g, "flock x 1")
	b.send("flock x 1")
	a.do(g, "flock u 1")
	g.printf("b has waited: %s", b.receive())
	// The end of a process releases all.
	a.do(g, "set w 0 0 1")
	b.send("wait w 0 0 1")
	a.end()
	g.printf("b has waited: %s", b.receive())
	b.end()
}

func deadlock(g *guest) {
	touch("f")
	a, b, c := newPeer("a"), newPeer("b"), newPeer("c")
	for i, p := range []*peer{a, b, c} {
		p.do(g, "open 1")
		p.do(g, "set w %d 1 1", i)
	}
	a.send("wait w 1 1 1")
	b.send("wait w 2 1 1")
	// Whoever closes the circle is told; by then the others may not wait yet.
	c.send("wait w 0 1 1")
	type result struct {
		p    *peer
		line string
	}
	results := make(chan result)
	for _, p := range []*peer{a, b, c} {
		go func() { results <- result{p, p.receive()} }()
	}
	told := 0
	for range 3 {
		r := <-results
		if r.line == "EDEADLK" {
			told++
		}
		r.p.send("set u 0 0 1")
		r.p.receive()
	}
	g.printf("told of the deadlock: %d", told)
	for _, p := range []*peer{a, b, c} {
		p.end()
	}
}
