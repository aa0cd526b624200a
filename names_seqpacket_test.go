package hati_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"golang.org/x/sys/unix"
)

// packets is a guest that talks to an echoing service at argv[1], a file or a socket,
// and prints what it sees.
const packets = `
import errno, os, select, signal, socket, sys, threading
path = sys.argv[1]
def connect():
    if path.startswith("/srv/"): return os.open(path, os.O_RDWR)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.connect(path)
    return s.detach()
def p(what, f):
    try: r = f()
    except OSError as e: r = errno.errorcode[e.errno]
    print(what, r)
def ready(fd, want=select.POLLIN | select.POLLOUT, wait=0):
    q = select.poll(); q.register(fd, want); return [hex(e) for _, e in q.poll(wait)]
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
fd = connect()
p("fresh", lambda: ready(fd))
p("write", lambda: os.write(fd, b"hello world"))
ready(fd, select.POLLIN, 10000)
p("poll", lambda: ready(fd))
p("read nothing", lambda: os.read(fd, 0))
p("short read", lambda: os.read(fd, 5))
p("the rest", lambda: ready(fd))
p("empty", lambda: os.write(fd, b""))
p("empty back", lambda: os.read(fd, 9))
p("writev", lambda: os.writev(fd, [b"a", b"bc"]))
bufs = [bytearray(2), bytearray(9)]
p("readv", lambda: (os.readv(fd, bufs), bytes(bufs[0]), bytes(bufs[1])))
p("lseek", lambda: os.lseek(fd, 0, 0))
p("pread", lambda: os.pread(fd, 1, 0))
for n in 1000, 65536, 131000:
    p(n, lambda: os.write(fd, b"x" * n))
    p("back", lambda: len(os.read(fd, 1 << 20)))
p("huge", lambda: os.write(fd, b"x" * (4 << 20)))
os.set_blocking(fd, False)
p("nonblocking", lambda: os.read(fd, 9))
e = select.epoll(); e.register(fd, select.EPOLLIN | select.EPOLLET)
os.write(fd, b"1")
p("epoll", lambda: len(e.poll(10)))
p("once", lambda: e.poll(0))
p("select", lambda: [len(x) for x in select.select([fd], [fd], [], 10)])
p("read", lambda: os.read(fd, 9))
os.set_blocking(fd, True)
class Alarm(Exception): pass
armed = True
def alarm(*a):
    global armed
    if armed:
        armed = False; raise Alarm
signal.signal(signal.SIGALRM, alarm)
try:
    signal.setitimer(signal.ITIMER_REAL, 0.03, 0.03); os.read(fd, 9)
except Alarm: print("interrupted")
p("write after", lambda: os.write(fd, b"after"))
p("read after", lambda: os.read(fd, 9))
many = [connect() for _ in range(100)]
for i, f in enumerate(many): os.write(f, b"%d" % i)
print("many", all(os.read(f, 9) == b"%d" % i for i, f in enumerate(many)))
# Nobody reads at the other end: who writes waits sooner or later, is interrupted, is killed.
deaf = connect(); os.write(deaf, b"deaf"); os.set_blocking(deaf, False)
try:
    while True: os.write(deaf, b"x" * 70000)
except BlockingIOError: print("full")
os.set_blocking(deaf, True)
pid = os.fork()
if pid == 0:
    while True: os.write(deaf, b"x" * 70000)
try:
    armed = True
    while True: os.write(deaf, b"x" * 70000)
except Alarm: print("interrupted")
signal.setitimer(signal.ITIMER_REAL, 0)
os.kill(pid, signal.SIGKILL); print("killed", os.waitpid(pid, 0)[1])
bye = connect(); os.write(bye, b"bye")
p("end", lambda: os.read(bye, 9))
p("again", lambda: os.read(bye, 9))
p("poll at the end", lambda: ready(bye))
p("write at the end", lambda: os.write(bye, b"x"))
`

// TestServicesAreLikeSeqpacketSockets compares a service's file with a socket: the same
// program sees the same.
func TestServicesAreLikeSeqpacketSockets(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no python3")
	}
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go echoPackets(ln)
	native, err := exec.Command(python, "-c", packets, path).CombinedOutput()
	if err != nil {
		t.Fatalf("natively: %v\n%s", err, native)
	}

	r := names.New()
	defer r.Close()
	s := names.Service{Protocol: names.Talk, Mode: 0o666, Accept: acceptPackets}
	if _, err := r.Register(t.Context(), "echo", s); err != nil {
		t.Fatal(err)
	}
	box, err := hati.New(hati.Config{Names: r})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	out, err := box.Command(python, "-c", packets, "/srv/echo").CombinedOutput()
	if err != nil || string(out) != string(native) {
		t.Errorf("%v; a service:\n%s\na socket:\n%s", err, out, native)
	}
}

// echoPackets is the native server. It reads by itself: package net takes an empty
// message for the end.
func echoPackets(ln *net.UnixListener) {
	for {
		c, err := ln.AcceptUnix()
		if err != nil {
			return
		}
		f, err := c.File()
		c.Close()
		if err != nil {
			return
		}
		go func() {
			defer f.Close()
			fd := int(f.Fd()) // blocking from here on
			b := make([]byte, 1<<20)
			for {
				w := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
				if _, err := unix.Poll(w, -1); err == unix.EINTR {
					continue
				}
				n, err := unix.Read(fd, b)
				switch {
				case err != nil, n == 0 && w[0].Revents&unix.POLLHUP != 0, string(b[:n]) == "bye":
					return
				case string(b[:n]) == "deaf":
					w[0].Events = 0
					for w[0].Revents&unix.POLLHUP == 0 {
						unix.Poll(w, -1) // until the client has gone
					}
					return
				}
				unix.Write(fd, b[:n])
			}
		}()
	}
}

// acceptPackets is the same as a service.
func acceptPackets(_ context.Context, _ names.Opening, l *lane.Lane) error {
	c, err := names.Converse(l, names.ConversationOptions{})
	if err != nil {
		return err
	}
	go func() {
		defer c.Close()
		for {
			p, err := c.Recv(context.Background())
			switch {
			case err != nil:
				return
			case string(p) == "bye":
				c.End(context.Background())
				return
			case string(p) == "deaf":
				<-c.Done()
				return
			}
			if c.Send(context.Background(), p) != nil {
				return
			}
		}
	}()
	return nil
}
