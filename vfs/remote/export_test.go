package remote

import (
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
)

// Handler returns the handler of a server at end, for tests that answer some
// operations themselves.
func Handler(end *lane.Lane, fs vfs.FS) lane.Handler {
	return newConn(end, fs, ServeOptions{}).handler()
}

// Nodes returns how many nodes the client knows.
func (c *Client) Nodes() int { return c.now.Load().nodes.size() }

// Census counts what a server holds for its clients.
type Census struct{ Nodes, Files, Owners int }

// ServeCounted is Serve; census may be called at any time.
func ServeCounted(end *lane.Lane, fs vfs.FS) (census func() Census, done <-chan struct{}) {
	return ServeThrough(end, fs, func(h lane.Handler) lane.Handler { return h })
}

// ServeThrough is ServeCounted with another handler around the server's own.
func ServeThrough(end *lane.Lane, fs vfs.FS, around func(lane.Handler) lane.Handler) (census func() Census, done <-chan struct{}) {
	c := newConn(end, fs, ServeOptions{})
	ended := make(chan struct{})
	if err := end.Handle(around(c.handler()), c.serveOptions()); err != nil {
		panic(err)
	}
	go func() {
		<-end.Done()
		c.finish()
		close(ended)
	}()
	return func() Census {
		c.locks.mu.Lock()
		defer c.locks.mu.Unlock()
		return Census{c.nodes.size(), c.files.size(), len(c.locks.owners)}
	}, ended
}

// NetworkHandler is Handler for a network.
func NetworkHandler(end *lane.Lane, n vfs.Network) lane.Handler {
	return newNetConn(end, n, NetworkOptions{}).handler()
}

// HandleNetwork is ServeNetwork, which has begun.
func HandleNetwork(end *lane.Lane, n vfs.Network) (ended <-chan struct{}) {
	return NetworkThrough(end, n, NetworkOptions{}, func(h lane.Handler) lane.Handler { return h })
}

// NetworkThrough is HandleNetwork with another handler around the server's own.
func NetworkThrough(end *lane.Lane, n vfs.Network, o NetworkOptions, around func(lane.Handler) lane.Handler) (ended <-chan struct{}) {
	c := newNetConn(end, n, o)
	if err := end.Handle(around(c.handler()), c.serveOptions()); err != nil {
		panic(err)
	}
	done := make(chan struct{})
	go func() {
		<-end.Done()
		c.finish()
		close(done)
	}()
	return done
}
