package hati_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/servers/hostio"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"golang.org/x/sys/unix"
)

// tap is a server of one file, a stream, that reads what is put into a pipe of the
// host and lends that pipe.
type tap struct {
	r, w  *os.File
	asked atomic.Int64 // reads that the server was asked for

	mu      sync.Mutex
	recalls []func()
	lent    int
	back    int
}

func newTap(t *testing.T) *tap {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return &tap{r: r, w: w}
}

func (p *tap) Root(context.Context) (vfs.Node, error) { return p, nil }

func (p *tap) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFCHR | 0o666, Nlink: 1}, nil
}

func (p *tap) Open(context.Context, int) (vfs.File, error) {
	files, err := hostio.Open(int(p.r.Fd()))
	if err != nil {
		return nil, err
	}
	return &tapFile{files[0].(*hostio.Stream), p}, nil
}

// recall has everything back that is lent.
func (p *tap) recall() {
	p.mu.Lock()
	all := p.recalls
	p.recalls = nil
	p.mu.Unlock()
	for _, f := range all {
		f()
	}
}

func (p *tap) counts() (lent, back int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lent, p.back
}

type tapFile struct {
	*hostio.Stream
	p *tap
}

func (f *tapFile) Node() vfs.Node { return f.p }

func (f *tapFile) Read(ctx context.Context, b []byte, off int64) (int, error) {
	n, err := f.Stream.Read(ctx, b, off)
	if n > 0 {
		f.p.asked.Add(1)
	}
	return n, err
}

func (f *tapFile) Lend(_ context.Context, _ bool, recall func()) (vfs.Loan, error) {
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(f.p.r.Fd())), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return vfs.Loan{}, err
	}
	f.p.lent++
	f.p.recalls = append(f.p.recalls, recall)
	return vfs.Loan{FD: fd, Return: func() {
		unix.Close(fd)
		f.p.mu.Lock()
		f.p.back++
		f.p.mu.Unlock()
	}}, nil
}

// reader reads numbers from argv[1] until the end, interrupted by a timer all the
// while, and tells where they are not one after the other.
const reader = `
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>
static volatile long ticks;
static void tick(int s) { ticks++; }
int main(int argc, char **argv)
{
	struct sigaction a = {.sa_handler = tick};
	sigaction(SIGALRM, &a, 0);
	struct itimerval it = {{0, 700}, {0, 700}};
	int fd = open(argv[1], O_RDONLY);
	if (fd < 0) { perror(argv[1]); return 1; }
	if (argc > 2) setitimer(ITIMER_REAL, &it, 0);
	uint32_t v, want = 0;
	long interrupted = 0;
	for (;;) {
		ssize_t n = read(fd, &v, 4);
		if (n < 0 && errno == EINTR) { interrupted++; continue; }
		if (n == 0) break;
		if (n != 4 || v != want) { printf("got %zd bytes, %u, want %u (%m)\n", n, v, want); return 2; }
		want++;
		if (v == ~0u) break;
	}
	printf("%u numbers\n", want);
	return interrupted > ticks;
}
`

func compiled(t *testing.T, source string) string {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("gcc is missing (run test/setup.sh)")
		}
		t.Skip("gcc is missing")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.c"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("gcc", "-O1", "-w", "-static", "-o", filepath.Join(dir, "p"), filepath.Join(dir, "p.c"), "-lpthread").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	os.Chmod(dir, 0o755)
	return dir
}

// TestLentStream: what a server lends is read by the guest's own process, whose
// reads concatenated are the stream, whatever interrupts them; when it is called
// back the server is asked again.
func TestLentStream(t *testing.T) {
	dir := compiled(t, reader)
	over := map[string]func(*testing.T, vfs.FS) hati.Mount{
		"in process": func(_ *testing.T, fs vfs.FS) hati.Mount { return hati.Server(fs, "/tap") },
		"lane": func(t *testing.T, fs vfs.FS) hati.Mount {
			socket := filepath.Join(t.TempDir(), "s")
			ctx, cancel := context.WithCancel(context.Background())
			l, err := remote.Listen(socket, 0o600, remote.Config("tap"))
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				remote.ServeListener(ctx, l, fs, remote.ServeOptions{})
			}()
			t.Cleanup(func() { cancel(); <-done })
			return hati.LaneServer(socket, "/tap")
		},
	}
	for how, mount := range over {
		for _, recalled := range []bool{false, true} {
			t.Run(how+map[bool]string{true: ", recalled"}[recalled], func(t *testing.T) {
				p := newTap(t)
				box := newBox(t, hati.Config{Mounts: []hati.Mount{mount(t, p), hati.HostDir(dir, "/guest", hati.ReadOnly)}, User: &hati.User{}})
				args := []string{"/tap"}
				if recalled {
					args = append(args, "signals")
				}
				cmd := box.Command("/guest/p", args...)
				var out bytes.Buffer
				cmd.Stdout, cmd.Stderr = &out, &out
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				const numbers = 20000
				written := make(chan struct{})
				go func() {
					defer close(written)
					defer p.w.Close()
					var b [4]byte
					for i := range uint32(numbers) {
						binary.LittleEndian.PutUint32(b[:], i)
						if _, err := p.w.Write(b[:]); err != nil {
							return // the guest has ended
						}
						if recalled && i%500 == 499 {
							p.recall()
						}
					}
				}()
				err := cmd.Wait()
				p.mu.Lock()
				p.r.Close()
				p.mu.Unlock()
				<-written
				if err != nil || out.String() != "20000 numbers\n" {
					t.Errorf("%v: %s", err, out.String())
				}
				lent, _ := p.counts()
				if asked := p.asked.Load(); lent == 0 || !recalled && asked > 200 || asked == numbers {
					t.Errorf("lent %d times, and the server was asked for %d of %d reads", lent, asked, numbers)
				}
				eventually(t, "everything is back", func() bool { lent, back := p.counts(); return lent == back })
			})
		}
	}
}

// TestSocketService: a service whose conversations are sockets looks like any other
// in /srv; the guest's own process reads and writes the socket.
func TestSocketService(t *testing.T) {
	dir := compiled(t, `
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void nothing(int s) {}
static void *waits(void *fd) { char b[8]; read((int)(long)fd, b, 8); return "not cancelled"; }
int main()
{
	int fd = open("/srv/echo", O_RDWR);
	if (fd < 0) { perror("open"); return 1; }
	char b[400];
	for (int i = 0; i < 2000; i++) {
		int n = snprintf(b, sizeof b, "%0*d", i % 300 + 1, i);
		if (write(fd, b, n) != n) { perror("write"); return 2; }
		char c[400] = {0};
		if (read(fd, c, sizeof c) != n || memcmp(b, c, n)) { printf("message %d: %s\n", i, c); return 3; }
	}
	write(fd, "cut off", 7);
	printf("%zd of 7\n", read(fd, b, 3));
	struct pollfd p = {fd, POLLIN | POLLOUT};
	int ready = poll(&p, 1, 0);
	printf("poll %d %x\n", ready, p.revents);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	ssize_t n = read(fd, b, 9);
	printf("read %zd %m\n", n);
	fcntl(fd, F_SETFL, 0);
	struct sigaction a = {.sa_handler = nothing};
	sigaction(SIGALRM, &a, 0);
	ualarm(20000, 20000); // the first may come before the read begins
	n = read(fd, b, 9);
	int why = errno;
	ualarm(0, 0);
	printf("read %zd %s\n", n, strerror(why));
	pthread_t t;
	void *r;
	pthread_create(&t, 0, waits, (void *)(long)fd);
	usleep(10000);
	pthread_cancel(t);
	pthread_join(t, &r);
	puts(r == PTHREAD_CANCELED ? "cancelled" : "not cancelled");
	write(fd, "whole", 5);
	printf("%zd of 5\n", read(fd, b, 9));
	write(fd, "bye", 3);
	printf("read %zd\n", read(fd, b, 9));
	n = write(fd, "x", 1); // which raises no SIGPIPE on such a socket
	printf("write %zd %m\n", n);
	// An error that is told once.
	close(fd);
	fd = open("/srv/echo", O_RDWR);
	for (int i = 0; i < 100; i++) { write(fd, "warm", 4); read(fd, b, 9); }
	write(fd, "reset", 5);
	write(fd, "unread", 6);
	n = read(fd, b, 9);
	printf("read %zd %m\n", n);
	printf("read %zd\n", read(fd, b, 9));
	return 0;
}
`)
	r := names.New()
	defer r.Close()
	var open atomic.Int64
	_, err := r.Register(t.Context(), "echo", names.Service{Protocol: names.Socket, Mode: 0o666,
		Accept: names.Sockets(func(o names.Opening, c *net.UnixConn) {
			open.Add(1)
			defer open.Add(-1)
			defer c.Close()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil || string(b[:n]) == "bye" {
					return
				}
				if string(b[:n]) == "reset" { // once there is something that is lost
					raw, _ := c.SyscallConn()
					raw.Read(func(fd uintptr) bool {
						_, _, err := unix.Recvfrom(int(fd), b, unix.MSG_PEEK|unix.MSG_DONTWAIT)
						return err != unix.EAGAIN
					})
					return
				}
				c.Write(b[:n])
			}
		})})
	if err != nil {
		t.Fatal(err)
	}
	box := newBox(t, hati.Config{Names: r, Mounts: []hati.Mount{hati.HostDir(dir, "/guest", hati.ReadOnly)}})
	out, err := box.Command("/guest/p").CombinedOutput()
	const want = `3 of 7
poll 1 4
read -1 Resource temporarily unavailable
read -1 Interrupted system call
cancelled
5 of 5
read 0
write -1 Broken pipe
read -1 Connection reset by peer
read 0
`
	if string(out) != want || err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	eventually(t, "the conversation is over", func() bool { return open.Load() == 0 })
}

// TestC21_OwnWaits: a wait of the guest's own process is listed, too; it ends by a
// kill at once, and what was lent comes back.
func TestC21_OwnWaits(t *testing.T) {
	dir := compiled(t, reader)
	p := newTap(t)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.Server(p, "/tap"), hati.HostDir(dir, "/guest", hati.ReadOnly)}, User: &hati.User{}})
	cmd := box.Command("/guest/p", "/tap")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var b [4]byte
	for i := range uint32(100) {
		binary.LittleEndian.PutUint32(b[:], i)
		p.w.Write(b[:])
	}
	var o hati.Operation
	eventually(t, "it waits by itself", func() bool {
		found, ok := find(box, func(o hati.Operation) bool {
			return strings.HasPrefix(o.Call, "read(3, ") && o.State == hati.OperationWaiting
		})
		o = found
		n, _ := unix.IoctlGetInt(int(p.r.Fd()), unix.TIOCINQ)
		return ok && n == 0 && p.asked.Load() < 100
	})
	if o.PID != cmd.Process.Pid() || o.Program != "p" || o.Server != "vfs at /tap" || o.Object != "fd 3 /tap" || o.Age() < 0 {
		t.Errorf("%+v", o)
	}
	cmd.Process.Kill()
	cmd.Wait()
	eventually(t, "everything is back", func() bool { lent, back := p.counts(); return lent == 1 && back == 1 })
	if ops := box.Operations(); len(ops) != 0 {
		t.Errorf("still there: %+v", ops)
	}
}

// slow is a server of one regular file, of which a read waits until it is opened again.
type slow struct {
	opens atomic.Int64
	again chan struct{}
}

func (s *slow) Root(context.Context) (vfs.Node, error) { return s, nil }

func (s *slow) Stat(context.Context) (vfs.Attr, error) {
	return vfs.Attr{Ino: 1, Mode: unix.S_IFREG | 0o666, Nlink: 1, Size: 4}, nil
}

func (s *slow) Open(context.Context, int) (vfs.File, error) {
	if s.opens.Add(1) == 2 {
		close(s.again)
	}
	return slowFile{s}, nil
}

type slowFile struct{ s *slow }

func (f slowFile) Node() vfs.Node { return f.s }
func (f slowFile) Close() error   { return nil }

func (f slowFile) Read(_ context.Context, b []byte, _ int64) (int, error) {
	<-f.s.again
	return copy(b, "slow"), nil
}

func (f slowFile) Lend(context.Context, bool, func()) (vfs.Loan, error) {
	return vfs.Loan{}, unix.EOPNOTSUPP
}

// TestFlagsWaitForNoRead: a file's flags change while a read of it waits, also where the
// file could be lent.
func TestFlagsWaitForNoRead(t *testing.T) {
	dir := compiled(t, `
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static int fd;
static void *reads(void *p) { char b[9]; printf("read %zd\n", read(fd, b, 9)); return 0; }
int main()
{
	fd = open("/slow", O_RDONLY);
	pthread_t t;
	pthread_create(&t, 0, reads, 0);
	usleep(20000);
	printf("set %d\n", fcntl(fd, F_SETFL, O_NONBLOCK));
	open("/slow", O_RDONLY);
	pthread_join(t, 0);
	return 0;
}
`)
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.Server(&slow{again: make(chan struct{})}, "/slow"), hati.HostDir(dir, "/guest", hati.ReadOnly)}})
	out, err := box.Command("/guest/p").CombinedOutput()
	if string(out) != "set 0\nread 4\n" || err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
