// Package guard puts a server that nobody vouches for behind a guard: whoever
// calls it can leave. A call whose ctx ends is given up when the server does not
// settle it within a grace time; it is then in doubt ([vfs.ErrInDoubt]), and what
// it makes later is reclaimed: a file is closed, a lock released, a mapping given
// back. A panic in the server ends that call, in doubt, and nothing else.
//
// # Who runs a call
//
// Never the goroutine that must be able to leave. There are two ways:
//
//   - A task of the POSIX server is an [Actor]: its goroutine is a coroutine that
//     another one, its driver, runs. For a call the coroutine yields, and the
//     driver makes the call on its own stack: two switches that the scheduler
//     does not see. To give the call up, somebody else becomes the driver.
//   - Any other caller hands the call to a worker of the guard's pool and waits for
//     it and for ctx.
//
// Either way the goroutine in the server is left to the server and ends when the
// server answers. Timers run only once a ctx has ended.
//
// Bytes go through buffers of the guard's, so an abandoned server writes into
// memory that nobody uses again. The server's ctx does not lead to the caller.
//
// # What is not guarded
//
// Methods without a ctx must not block, and are called directly: Poll, Watch,
// Unwatch, Node, IsStream, and those of a [vfs.Line]. Close is the exception. A
// [vfs.Jumper] is not passed on: where it leads is for POSIX to say. Go cannot
// contain everything: a fatal error of the runtime (concurrent map writes, a
// stack without end) ends the program.
//
// The package imports vfs, internal/fault and the standard library.
//
// Lock order: file.mu, then slot.mu, then Guard.mu; pool.mu is a leaf.
package guard

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hati-os/hati/vfs"
)

// DefaultGrace is how long a server may take to settle an interrupted call.
const DefaultGrace = time.Second

// Options say how a server is guarded.
type Options struct {
	// Name is what [Operation] calls the server.
	Name string
	// Grace is the time for a call that was interrupted, or cancelled without a
	// cause that is known to be urgent, to be settled; 0 means [DefaultGrace].
	// Killed calls, and those whose time is over, get none.
	Grace time.Duration
	// Log, when not nil, hears of panics and other breaches of the contract.
	Log *slog.Logger
}

// Guard stands before one server. Its methods may be called concurrently.
type Guard struct {
	server vfs.FS
	name   string
	grace  time.Duration
	log    *slog.Logger
	pool   pool
	lost   atomic.Int64 // abandoned calls that are still in the server

	mu        sync.Mutex
	abandoned map[*slot]struct{}
	locks     map[lockOwner]*ownerLocks
}

// New returns a guard for the server.
func New(server vfs.FS, o Options) *Guard {
	g := &Guard{server: server, name: o.Name, grace: o.Grace, log: o.Log,
		abandoned: map[*slot]struct{}{}, locks: map[lockOwner]*ownerLocks{}}
	if g.grace == 0 {
		g.grace = DefaultGrace
	}
	return g
}

// Close lets the pool's goroutines go. Calls may go on, and abandoned ones end
// when the server answers.
func (g *Guard) Close() error {
	g.pool.close()
	return nil
}

// FS returns the guarded server.
func (g *Guard) FS() vfs.FS {
	if _, ok := g.server.(vfs.Statfser); ok {
		return statFS{guarded{g}}
	}
	return guarded{g}
}

type guarded struct{ g *Guard }

type statFS struct{ guarded }

// Root asks the server for its root.
func (f guarded) Root(ctx context.Context) (vfs.Node, error) {
	n, err := perform(ctx, f.g, nil, "root", "", f.g.server.Root, nil)
	return f.g.node(n, err)
}

// Statfs asks the server for its size.
func (f statFS) Statfs(ctx context.Context) (vfs.Statfs, error) {
	return perform(ctx, f.g, nil, "statfs", "", f.g.server.(vfs.Statfser).Statfs, nil)
}

// Unmount tells the server of its end. It waits for that for the grace time, and
// with force not at all.
func (f guarded) Unmount(force bool) {
	u, ok := f.g.server.(vfs.Unmounter)
	if !ok {
		return
	}
	patience := f.g.grace
	if force {
		patience = 0
	}
	_ = f.g.withoutContext("unmount", patience, func() error {
		u.Unmount(force)
		return nil
	})
}
