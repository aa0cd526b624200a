package test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	api "github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
)

// TestGuestsDieAtOnce has 50 guests work on files of a server in another process,
// of a FUSE daemon and of a service in /srv, and kills each at a random moment,
// while those servers are stopped, killed, or as they should be. Nobody waits for
// a server; nothing is left.
func TestGuestsDieAtOnce(t *testing.T) {
	need(t, "musl-gcc")
	kills, boxes := 60, 1 // of each kind; how often
	if os.Getenv("HATI_HAMMER") != "" {
		kills, boxes = 200, 10
	}
	p := newPlace(t)
	for range boxes {
		p.box(t, kills)
	}
}

// place is what all boxes of the test use.
type place struct {
	work, loopback string // programs
	back           string // the FUSE daemon's files
	socket         string // of the lane's server
	files, echo    *exec.Cmd
	dir            string
	registry       *names.Registry
	names          string // its socket
}

func newPlace(t *testing.T) *place {
	t.Helper()
	dir := directory(t)
	p := &place{work: filepath.Join(dir, "work"), loopback: filepath.Join(dir, "loopback"), back: directory(t), dir: directory(t), names: filepath.Join(dir, "names")}
	if out, err := exec.Command("musl-gcc", "-static", "-O1", "-w", "-o", p.work, "guest/faults/work.c").CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	build := exec.Command("go", "build", "-o", p.loopback, ".")
	build.Dir = "guest/fuse"
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building loopback: %v\n%s", err, out)
	}
	p.registry = names.New()
	l, err := names.Listen(p.names, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { p.registry.Serve(ctx, l) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	p.socket, p.files = serve(t, "host", p.dir)
	p.startEcho(t)
	return p
}

func (p *place) startEcho(t *testing.T) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, p.names)
	cmd.Env = as("echo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatalf("the service: %q, %v", line, err)
	}
	p.echo = cmd
}

// serveEcho is a process with a service that sends back what it gets.
func serveEcho(argv []string) int {
	ctx := context.Background()
	c, err := names.Dial(ctx, argv[0])
	if err == nil {
		_, err = c.Register(ctx, "echo", names.Service{Protocol: names.Talk, Mode: 0o666, Replace: true,
			Accept: func(_ context.Context, _ names.Opening, l *lane.Lane) error {
				talk, err := names.Converse(l, names.ConversationOptions{})
				if err != nil {
					return err
				}
				go func() {
					defer talk.Close()
					for {
						m, err := talk.Recv(ctx)
						if err != nil || talk.Send(ctx, m) != nil {
							return
						}
					}
				}()
				return nil
			}})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	<-c.Done()
	return 0
}

// box makes a box and kills its guests under all kinds of trouble.
func (p *place) box(t *testing.T, kills int) {
	t.Helper()
	before := faulttest.Now()
	box, err := api.New(api.Config{Names: p.registry, Mounts: []api.Mount{
		api.LaneServer(p.socket, "/lane"),
		api.FUSE([]string{p.loopback, "{fd}", p.back}, "/fuse", api.FUSEOptions{Stderr: io.Discard}),
		api.HostDir(filepath.Dir(p.work), "/programs", api.ReadOnly),
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	places := []string{"/lane", "/fuse", "/srv/echo"}
	p.works(t, box, places...)
	daemon := p.daemon(t)

	died := make(chan time.Duration)
	stop := make(chan struct{})
	var guests sync.WaitGroup
	for range 50 {
		guests.Go(func() {
			for {
				d, err := p.killed(box, places)
				if err != nil {
					t.Error(err)
				}
				select {
				case died <- d:
				case <-stop:
					return
				}
			}
		})
	}
	signal := func(s syscall.Signal, pids ...int) func() {
		return func() {
			for _, pid := range pids {
				syscall.Kill(pid, s)
			}
		}
	}
	stopped := func(pids ...int) [2]func() {
		return [2]func(){signal(syscall.SIGSTOP, pids...), signal(syscall.SIGCONT, pids...)}
	}
	for _, trouble := range []struct {
		name string
		do   [2]func()
	}{
		{"none", stopped()},
		{"lane stopped", stopped(p.files.Process.Pid)},
		{"fuse stopped", stopped(daemon)},
		{"srv stopped", stopped(p.echo.Process.Pid)},
		{"all stopped", stopped(p.files.Process.Pid, daemon, p.echo.Process.Pid)},
		{"lane killed", [2]func(){func() {
			fd := pidfd(t, p.files.Process.Pid) // closed at the test's end
			before.FDs++
			p.files.Process.Kill()
			fd.wait(t)
		}, func() {
			os.Remove(p.socket)
			p.files = serveAgain(t, p.socket, "host", p.dir)
		}}},
		{"srv killed", [2]func(){func() { p.echo.Process.Kill(); p.echo.Wait() }, func() { p.startEcho(t) }}},
		{"again", stopped()},
		{"fuse killed", [2]func(){signal(syscall.SIGKILL, daemon), func() {}}},
	} {
		trouble.do[0]()
		all := make([]time.Duration, kills)
		for i := range all {
			all[i] = <-died
		}
		trouble.do[1]()
		slices.Sort(all)
		t.Logf("%s: %d guests killed, gone after %v (median), %v (99 of 100), %v (most)", trouble.name, kills,
			all[kills/2].Round(10*time.Microsecond), all[kills*99/100].Round(10*time.Microsecond), all[kills-1].Round(10*time.Microsecond))
		if all[kills-1] > 10*time.Second || all[kills/2] > 500*time.Millisecond {
			t.Errorf("%s: that is not at once", trouble.name)
		}
		if trouble.name == "again" {
			p.works(t, box, places...)
		}
	}
	close(stop)
	for range 50 {
		select {
		case <-died:
		default:
		}
	}
	guests.Wait()
	p.works(t, box, "/lane", "/srv/echo")
	begin := time.Now()
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	t.Logf("the box was closed in %v", time.Since(begin).Round(time.Millisecond))
	faulttest.Eventually(t, "descriptors, goroutines and processes are back", func() bool {
		now := faulttest.Now()
		return now.FDs <= before.FDs && now.Goroutines <= before.Goroutines+2 && len(children()) <= 2 // the servers
	})
	t.Logf("before %v, after %v", before, faulttest.Now())
}

// works has a guest work once on what should do its work.
func (p *place) works(t *testing.T, box *api.Box, places ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if out, err := box.CommandContext(ctx, "/programs/work", append([]string{"once"}, places...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// daemon returns the FUSE daemon's process.
func (p *place) daemon(t *testing.T) int {
	t.Helper()
	for _, pid := range children() {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && strings.HasSuffix(exe, "/loopback") {
			return pid
		}
	}
	t.Fatal("no daemon")
	return 0
}

// killed starts a guest, kills it at a random moment, and returns how long its end
// took.
func (p *place) killed(box *api.Box, places []string) (time.Duration, error) {
	cmd := box.Command("/programs/work", places...)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	for range rand.IntN(2000) {
		runtime.Gosched()
	}
	begin := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		return 0, err
	}
	err := cmd.Wait()
	d := time.Since(begin)
	var x *api.ExitError
	if !errors.As(err, &x) || x.String() != "signal: killed" {
		return d, fmt.Errorf("a guest that was killed: %w", err)
	}
	return d, nil
}
