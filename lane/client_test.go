package lane_test

import (
	"context"
	"sync"
	"testing"

	"github.com/hati-os/hati/lane"
)

// opStarted is a note by which the test server tells its client that the
// operation in Data[0] has started.
const opStarted = 200

// client is a lane whose server is the test server.
type client struct {
	*lane.Lane
	mu      sync.Mutex
	cond    *sync.Cond
	started map[byte]int
	blocked int
}

func newClient() *client {
	c := &client{started: map[byte]int{}}
	c.cond = sync.NewCond(&c.mu)
	return c
}

// configure has the steps of the client's own calls counted.
func (c *client) configure(cfg lane.Config) lane.Config {
	cfg.SetSteps(func(step string) {
		if step == "block" {
			c.mu.Lock()
			c.blocked++
			c.cond.Broadcast()
			c.mu.Unlock()
		}
	})
	return cfg
}

func (c *client) attach(l *lane.Lane) *client {
	c.Lane = l
	l.Handle(func(ctx context.Context, r *lane.Request) error {
		if r.Op == opStarted {
			c.mu.Lock()
			c.started[r.Data[0]]++
			c.cond.Broadcast()
			c.mu.Unlock()
		}
		return nil
	}, lane.ServeOptions{})
	return c
}

// reset forgets what was counted for another lane.
func (c *client) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started, c.blocked = map[byte]int{}, 0
}

// awaitStarted waits until n more operations op have started.
func (c *client) awaitStarted(op byte, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.started[op] < n {
		c.cond.Wait()
	}
	c.started[op] -= n
}

// awaitBlocked waits until n more waits for an answer have begun.
func (c *client) awaitBlocked(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.blocked < n {
		c.cond.Wait()
	}
	c.blocked -= n
}

// overAll runs f over all transports: in process, shared memory, and shared
// memory with the test server in another process.
func overAll(t *testing.T, cfg lane.Config, f func(t *testing.T, c *client)) {
	t.Helper()
	if cfg.Grace == 0 {
		cfg.Grace = patience
	}
	c := newClient()
	overTransports(t, c.configure(cfg), func(t *testing.T, a, s *lane.Lane) {
		c.reset()
		c.attach(a)
		server := newTestServer()
		defer func() { close(*server.release.Load()) }()
		if err := s.Handle(server.handle, lane.ServeOptions{}); err != nil {
			t.Fatal(err)
		}
		f(t, c)
	})
	t.Run("process", func(t *testing.T) {
		f(t, dial(t, startServer(t), cfg))
	})
}

func feed(t testing.TB, l *client, n int) {
	t.Helper()
	if err := l.Call(context.Background(), &lane.Message{Op: opFeed, Data: []byte{byte(n), byte(n >> 8), byte(n >> 16), 0}}, nil); err != nil {
		t.Fatal(err)
	}
}
