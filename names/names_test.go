package names_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
)

// both runs a test with a registry in this process and with one over a socket.
func both(t *testing.T, f func(t *testing.T, server, client names.Directory, r *names.Registry)) {
	t.Run("in process", func(t *testing.T) {
		r := names.New()
		defer r.Close()
		f(t, r, r, r)
	})
	t.Run("socket", func(t *testing.T) {
		r := names.New()
		path := serve(t, r)
		f(t, dial(t, path), dial(t, path), r)
	})
}

func serve(t *testing.T, r *names.Registry) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "names.sock")
	l, err := names.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- r.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return path
}

func dial(t *testing.T, path string) *names.Conn {
	t.Helper()
	c, err := names.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// echo is a service that sends each message back with its own name before it.
func echo(name string, opened func(names.Opening)) names.Service {
	return names.Service{Protocol: names.Talk, Accept: func(_ context.Context, o names.Opening, l *lane.Lane) error {
		if opened != nil {
			opened(o)
		}
		c, err := names.Converse(l, names.ConversationOptions{})
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for {
				p, err := c.Recv(context.Background())
				if err != nil {
					return
				}
				if c.Send(context.Background(), append([]byte(name+":"), p...)) != nil {
					return
				}
			}
		}()
		return nil
	}}
}

func register(t *testing.T, d names.Directory, name string, s names.Service) *names.Registration {
	t.Helper()
	g, err := d.Register(t.Context(), name, s)
	if err != nil {
		t.Fatalf("registering %s: %v", name, err)
	}
	return g
}

func open(t *testing.T, d names.Directory, name string) *names.Conversation {
	t.Helper()
	o, err := d.Open(t.Context(), name, names.Request{Protocol: names.Talk, Caller: names.Caller{UID: 7, GID: 8, PID: 9}})
	if err != nil {
		t.Fatalf("opening %s: %v", name, err)
	}
	c, err := names.Converse(o.Lane, names.ConversationOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func say(t *testing.T, c *names.Conversation, p string) string {
	t.Helper()
	if err := c.Send(t.Context(), []byte(p)); err != nil {
		t.Fatalf("sending %q: %v", p, err)
	}
	got, err := c.Recv(t.Context())
	if err != nil {
		t.Fatalf("the answer to %q: %v", p, err)
	}
	return string(got)
}

func TestConversation(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, _ *names.Registry) {
		openings := make(chan names.Opening, 1)
		register(t, server, "test.echo", echo("one", func(o names.Opening) { openings <- o }))
		c := open(t, client, "test.echo")
		o := <-openings
		if o.Client.UID != os.Geteuid() || o.Client.PID != os.Getpid() || o.Caller != (names.Caller{UID: 7, GID: 8, PID: 9}) || o.Again {
			t.Errorf("the server was told %+v", o)
		}
		for _, p := range []string{"a", "", "some more", string(make([]byte, names.MaxMessage-4))} {
			if got := say(t, c, p); got != "one:"+p {
				t.Fatalf("%d bytes came back as %d", len(p), len(got))
			}
		}
		if err := c.Send(t.Context(), make([]byte, names.MaxMessage+1)); err != syscall.EMSGSIZE {
			t.Errorf("too long: %v", err)
		}
		if _, err := c.TryRecv(); err != syscall.EAGAIN {
			t.Errorf("nothing there: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.Recv(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	})
}

// TestBackpressure: messages that nobody takes stay with the sender, and all of
// them arrive in order.
func TestBackpressure(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, _ *names.Registry) {
		ends := make(chan *names.Conversation, 1)
		register(t, server, "sink", names.Service{Protocol: names.Talk, Accept: func(_ context.Context, _ names.Opening, l *lane.Lane) error {
			c, err := names.Converse(l, names.ConversationOptions{})
			ends <- c
			return err
		}})
		c := open(t, client, "sink")
		end := <-ends
		const many = 1000
		ctx, cancel := context.WithCancel(t.Context())
		var sent int
		var wg sync.WaitGroup
		wg.Go(func() {
			for ; sent < many; sent++ {
				if err := c.Send(ctx, fmt.Append(nil, sent)); err != nil {
					if !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					return
				}
			}
		})
		for i := range 100 {
			if p, err := end.Recv(t.Context()); err != nil || string(p) != fmt.Sprint(i) {
				t.Fatalf("message %d: %q, %v", i, p, err)
			}
		}
		cancel()
		wg.Wait()
		if sent == many {
			t.Error("all were sent though nobody took them")
		}
		// What was sent is what comes, and nothing that was cancelled.
		if err := c.End(t.Context()); err != nil {
			t.Error(err)
		}
		c.Close()
		for i := 100; ; i++ {
			p, err := end.Recv(t.Context())
			if err == io.EOF {
				if i != sent {
					t.Errorf("%d were sent, %d came", sent, i)
				}
				break
			}
			if err != nil || string(p) != fmt.Sprint(i) {
				t.Fatalf("message %d: %q, %v", i, p, err)
			}
		}
		if err := end.Send(t.Context(), []byte("x")); err != syscall.EPIPE {
			t.Errorf("sending after the end: %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, r *names.Registry) {
		for _, name := range []string{"", ".", ".hidden", "a/b", "a b", "ä", string(make([]byte, 65))} {
			if _, err := server.Register(t.Context(), name, echo("", nil)); !errors.Is(err, names.ErrName) {
				t.Errorf("registering %q: %v", name, err)
			}
		}
		if _, err := client.Open(t.Context(), "nobody", names.Request{Protocol: names.Talk}); !errors.Is(err, names.ErrUnknown) {
			t.Errorf("opening what is not there: %v", err)
		}
		g := register(t, server, "a", echo("first", nil))
		if _, err := server.Register(t.Context(), "a", echo("second", nil)); !errors.Is(err, names.ErrTaken) {
			t.Errorf("registering twice: %v", err)
		}
		if _, err := client.Open(t.Context(), "a", names.Request{Protocol: names.Protocol{Name: "other", Version: 1}}); !errors.Is(err, names.ErrProtocol) {
			t.Errorf("another protocol: %v", err)
		}
		old := open(t, client, "a")
		second := echo("second", nil)
		second.Replace = true
		register(t, server, "a", second)
		if got := say(t, open(t, client, "a"), "x"); got != "second:x" {
			t.Errorf("after it was replaced: %q", got)
		}
		if got := say(t, old, "x"); got != "first:x" {
			t.Errorf("what was open before: %q", got)
		}
		g.Close()
		g.Close()
		for i := range 12 {
			s := echo("", nil)
			s.Mode = 0o640
			register(t, server, fmt.Sprintf("more.%02d", i), s)
		}
		all, err := client.List(t.Context(), "")
		if err != nil || len(all) != 13 || all[0].Name != "a" || all[12].Name != "more.11" || all[12].Mode != 0o640 ||
			all[12].UID != uint32(os.Geteuid()) || all[0].Instances != 1 || all[0].Protocol != names.Talk.Name {
			t.Errorf("the list: %+v, %v", all, err)
		}
		if one, err := client.List(t.Context(), "more.05"); err != nil || len(one) != 1 || one[0].Name != "more.05" {
			t.Errorf("one of the list: %+v, %v", one, err)
		}
	})
}

// TestInstances: clients are shared out, and those of one that ends go to the
// others.
func TestInstances(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, _ *names.Registry) {
		var held []*names.Registration
		for _, n := range []string{"a", "b", "c"} {
			s := echo(n, nil)
			s.Shared = true
			held = append(held, register(t, server, "pool", s))
		}
		who := func(n int) []string {
			var all []string
			for range n {
				all = append(all, say(t, open(t, client, "pool"), ""))
			}
			slices.Sort(all)
			return slices.Compact(all)
		}
		if got := who(3); !slices.Equal(got, []string{"a:", "b:", "c:"}) {
			t.Errorf("three clients got %v", got)
		}
		held[1].Close()
		if got := who(4); !slices.Equal(got, []string{"a:", "c:"}) {
			t.Errorf("without b they got %v", got)
		}
	})
}

// TestServerDies: what is open fails clearly, the name goes and can be taken.
func TestServerDies(t *testing.T) {
	r := names.New()
	path := serve(t, r)
	client, server := dial(t, path), dial(t, path)
	ends := make(chan *lane.Lane, 1)
	register(t, server, "mortal", names.Service{Protocol: names.Talk, Accept: func(_ context.Context, _ names.Opening, l *lane.Lane) error {
		ends <- l
		_, err := names.Converse(l, names.ConversationOptions{})
		return err
	}})
	c := open(t, client, "mortal")
	if err := c.Send(t.Context(), []byte("x")); err != nil {
		t.Fatal(err)
	}
	(<-ends).Close() // as the kernel does for a process that is gone
	server.Close()
	if _, err := c.Recv(t.Context()); !errors.Is(err, names.ErrPeerGone) {
		t.Errorf("receiving: %v", err)
	}
	if err := c.Send(t.Context(), []byte("x")); err != syscall.EPIPE {
		t.Errorf("sending: %v", err)
	}
	again := dial(t, path)
	s := echo("again", nil)
	s.Replace = true // whether the old one's end was noticed or not
	register(t, again, "mortal", s)
	if got := say(t, open(t, client, "mortal"), "x"); got != "again:x" {
		t.Errorf("the next one says %q", got)
	}
}

// TestSocketLeftBehind: a registry that was killed leaves its socket; the next one
// takes the place, but not that of one that serves.
func TestSocketLeftBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names.sock")
	old, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	if l, err := names.Listen(path, 0o600); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("in use: %v, %v", l, err)
	}
	old.Close()
	l, err := names.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

// TestRecovers: a client waits for the next instance, which takes the
// conversation up where the old one left it.
func TestRecovers(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, r *names.Registry) {
		first := echo("first", nil)
		first.Recovers = true
		g := register(t, server, "phoenix", first)
		o, err := client.Open(t.Context(), "phoenix", names.Request{Protocol: names.Talk})
		if err != nil || !o.Recovers || o.Session == 0 {
			t.Fatalf("%+v, %v", o, err)
		}
		o.Lane.Close()
		g.Close()
		ctx, cancel := context.WithCancel(t.Context())
		type result struct {
			names.Opened
			error
		}
		results := make(chan result)
		reopen := func(ctx context.Context) {
			o, err := client.Open(ctx, "phoenix", names.Request{Protocol: names.Talk, Session: o.Session})
			results <- result{o, err}
		}
		go reopen(ctx)
		cancel()
		if got := <-results; !errors.Is(got.error, context.Canceled) {
			t.Fatalf("cancelled: %v", got.error)
		}
		go reopen(t.Context())
		openings := make(chan names.Opening, 1)
		second := echo("second", func(o names.Opening) { openings <- o })
		second.Recovers = true
		register(t, server, "phoenix", second)
		got := <-results
		if got.error != nil {
			t.Fatal(got.error)
		}
		if again := <-openings; !again.Again || again.Session != o.Session {
			t.Errorf("the next one was told %+v", again)
		}
		c, err := names.Converse(got.Lane, names.ConversationOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if known, err := c.Resume(t.Context()); known != 0 || err != nil {
			t.Errorf("it knows %d, %v", known, err)
		}
		if got := say(t, c, "x"); got != "second:x" {
			t.Errorf("it says %q", got)
		}
	})
}

// TestRefused: the server's own errno reaches the client.
func TestRefused(t *testing.T) {
	both(t, func(t *testing.T, server, client names.Directory, _ *names.Registry) {
		register(t, server, "closed", names.Service{Protocol: names.Talk, Accept: func(context.Context, names.Opening, *lane.Lane) error {
			return syscall.ENOSPC
		}})
		if _, err := client.Open(t.Context(), "closed", names.Request{Protocol: names.Talk}); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%v", err)
		}
	})
}

// TestUsersAreFreed: a registry keeps nothing of users who are gone.
func TestUsersAreFreed(t *testing.T) {
	r := names.New()
	path := serve(t, r)
	one := func() {
		c, err := names.Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		register(t, c, "x", echo("x", nil))
		o, err := r.Open(t.Context(), "x", names.Request{Protocol: names.Talk})
		if err != nil {
			t.Fatal(err)
		}
		o.Lane.Close()
		c.Close()
		for { // until the name is gone, too
			if list, _ := r.List(t.Context(), "x"); len(list) == 0 {
				return
			}
			runtime.Gosched()
		}
	}
	one()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const n = 50
	before := heap()
	for range n {
		one()
	}
	for end := time.Now().Add(time.Minute); heap() > before+n*20<<10; {
		if time.Now().After(end) {
			t.Fatalf("%d users left %d bytes", n, heap()-before)
		}
	}
}
