package remote

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/hati-os/hati/internal/servers/anon"
	"github.com/hati-os/hati/internal/servers/hostwait"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// netSocket is a socket of a server at the other end of a lane. A stream of the host
// that the server lends is watched, sent to and received from here; for all else the
// server is asked.
type netSocket struct {
	readiness // of one that is not lent; its queue is that of both
	s         *netSession
	id        uint64
	stream    bool
	node      anon.Node
	kept      atomic.Uint32 // events, lent: the server has something that another caller left
	onKept    atomic.Pointer[func(vfs.Events)]

	mu   sync.RWMutex // held, before the watcher's locks, while host is used
	host *lentSocket  // nil: not lent, or not any more

	onLent onLent
}

var (
	_ vfs.Socket   = (*netSocket)(nil)
	_ vfs.Streamer = (*netSocket)(nil)
	_ vfs.Ioctler  = (*netSocket)(nil)
	_ vfs.Lender   = (*netSocket)(nil)
)

func newNetSocket(s *netSession, id uint64, stream bool, host *lane.File) *netSocket {
	n := &netSocket{s: s, id: id, stream: stream}
	n.of = n
	if host != nil {
		n.host = &lentSocket{host, hostwait.New(&n.queue, host.FD())}
	}
	n.node.Init(anon.DevSocket, syscall.S_IFSOCK|0o777, uint32(os.Geteuid()), uint32(os.Getegid()))
	return n
}

// Node is the socket's inode, which is this end's own.
func (n *netSocket) Node() vfs.Node { return &n.node }

// IsStream is true: there are no offsets.
func (n *netSocket) IsStream() bool { return true }

// Close waits until the server has closed the socket, too, so that a port is free
// and a peer sees the end; but for a server that hangs not long.
func (n *netSocket) Close() error {
	n.s.remove(n.id)
	n.giveUp()
	n.s.closes.close(n.id)
	return nil
}

// giveUp ends the use of what was lent.
func (n *netSocket) giveUp() {
	n.mu.Lock()
	host := n.host
	n.host = nil
	n.mu.Unlock()
	if host != nil {
		n.onLent.recall()
		host.close()
	}
}

// drop goes on without what was lent.
func (n *netSocket) drop() {
	n.giveUp()
	n.readiness.mu.Lock()
	defer n.readiness.mu.Unlock()
	if !n.queue.Empty() {
		n.startLocked()
	}
}

// serverGone ends all but connections that are lent.
func (n *netSocket) serverGone() {
	n.mu.RLock()
	stays := n.host != nil && n.host.connected()
	n.mu.RUnlock()
	if !stays {
		n.giveUp()
		n.queue.Notify(goneEvents)
	}
}

// noted is the server's note on events.
func (n *netSocket) noted(m *netwire.ReadyNote) {
	n.mu.RLock()
	lent := n.host != nil
	n.mu.RUnlock()
	if !lent {
		n.came(m.Seq, vfs.Events(m.Events))
		return
	}
	n.keeps(m.Events)
}

// keeps notes events of what the server has kept.
func (n *netSocket) keeps(events uint32) {
	if events != 0 {
		n.kept.Or(events)
		n.queue.Notify(vfs.Events(events))
		if tell := n.onKept.Load(); tell != nil {
			(*tell)(vfs.Events(events))
		}
	}
}

// tellKept has a server that lends the socket on hear of what is kept: its own client
// watches the descriptor, which does not show that.
func (n *netSocket) tellKept(tell func(vfs.Events)) { n.onKept.Store(&tell) }

// Poll asks the host, or the server.
func (n *netSocket) Poll(mask vfs.Events) vfs.Events {
	n.mu.RLock()
	if n.host == nil {
		n.mu.RUnlock()
		return n.readiness.Poll(mask)
	}
	defer n.mu.RUnlock()
	return hostwait.Now(n.host.o.FD(), mask) | vfs.Events(n.kept.Load())&(mask|vfs.EventErr)
}

// Watch has w told of events.
func (n *netSocket) Watch(w *vfs.Waiter) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.host == nil {
		n.readiness.Watch(w)
		return
	}
	n.host.watcher.Watch(w)
	if kept := n.kept.Load(); kept != 0 {
		n.queue.Notify(vfs.Events(kept))
	}
}

// Unwatch ends that.
func (n *netSocket) Unwatch(w *vfs.Waiter) {
	n.mu.RLock()
	defer n.mu.RUnlock()
	if n.host == nil {
		n.readiness.Unwatch(w)
		return
	}
	n.host.watcher.Unwatch(w)
}

// What readiness asks.

func (n *netSocket) poll(ctx context.Context, mask vfs.Events) (vfs.Events, error) {
	var rep netwire.ReadyReply
	err := n.s.call.Poll(ctx, &netwire.PollRequest{Socket: n.id, Mask: uint32(mask)}, &rep, nil)
	return vfs.Events(rep.Events), n.s.outcome(err)
}

func (n *netSocket) arm(seen uint64) (uint64, vfs.Events, error) {
	var rep netwire.ReadyReply
	err := n.s.call.Arm(context.Background(), &netwire.ArmRequest{Socket: n.id, Seen: seen}, &rep, nil)
	return rep.Seq, vfs.Events(rep.Events), err
}

func (n *netSocket) gone() bool { return n.s.lane.Err() != nil }

// Bind asks the server, once it has closed what was closed before: that may have had
// the address.
func (n *netSocket) Bind(ctx context.Context, addr []byte) error {
	return n.withAddr(ctx, n.s.call.Bind, addr)
}

// Connect asks the server, likewise: nobody may be listening any more.
func (n *netSocket) Connect(ctx context.Context, addr []byte) error {
	return n.withAddr(ctx, n.s.call.Connect, addr)
}

func (n *netSocket) withAddr(ctx context.Context, call func(context.Context, *netwire.AddrRequest, *netwire.Empty, *lane.Extra) error, addr []byte) error {
	if len(addr) > vfs.SockaddrMax {
		return syscall.EINVAL
	}
	if err := n.s.closes.wait(ctx); err != nil {
		return err
	}
	return n.s.outcome(call(ctx, &netwire.AddrRequest{Socket: n.id, Addr: addr}, new(netwire.Empty), nil))
}

// Listen asks the server.
func (n *netSocket) Listen(ctx context.Context, backlog int) error {
	if err := n.s.closes.wait(ctx); err != nil {
		return err
	}
	return n.s.outcome(n.s.call.Listen(ctx, &netwire.NumberRequest{Socket: n.id, Number: int32(backlog)}, new(netwire.Empty), nil))
}

// Accept asks the server. A connection whose caller has left is the next one's.
func (n *netSocket) Accept(ctx context.Context) (vfs.Socket, []byte, error) {
	n.s.awaits(1)
	defer n.s.awaits(-1)
	kept := n.kept.Load() & uint32(vfs.EventsIn)
	n.kept.And(^kept)
	var rep netwire.AcceptReply
	var x lane.Extra
	err := n.s.outcome(n.s.call.Accept(ctx, &netwire.NumberRequest{Socket: n.id}, &rep, &x))
	if err != nil {
		if !answered(err) {
			n.keeps(kept) // perhaps
		}
		return nil, nil, err
	}
	n.keeps(rep.Kept & uint32(allEvents))
	c, err := n.s.socket(rep.Socket, n.stream, x.Got)
	if err != nil {
		return nil, nil, err
	}
	return c, rep.Addr, nil
}

// Addr asks the server.
func (n *netSocket) Addr(ctx context.Context, peer bool) ([]byte, error) {
	req := netwire.NumberRequest{Socket: n.id}
	if peer {
		req.Number = 1
	}
	var rep netwire.AddrReply
	if err := n.s.call.Addr(ctx, &req, &rep, nil); err != nil {
		return nil, n.s.outcome(err)
	}
	return rep.Addr, nil
}

// Shutdown ends directions.
func (n *netSocket) Shutdown(ctx context.Context, how int) error {
	n.mu.RLock()
	host := n.host
	if host != nil && n.gone() {
		defer n.mu.RUnlock()
		return unix.Shutdown(host.o.FD(), how)
	}
	n.mu.RUnlock()
	return n.s.outcome(n.s.call.Shutdown(ctx, &netwire.NumberRequest{Socket: n.id, Number: int32(how)}, new(netwire.Empty), nil))
}

// Option asks the server.
func (n *netSocket) Option(ctx context.Context, level, name int, value []byte) (int, error) {
	given := value[:min(len(value), netwire.MaxOption)]
	x := lane.Extra{Bulk: given, Room: given}
	var rep netwire.CountReply
	req := netwire.OptionRequest{Socket: n.id, Level: int32(level), Name: int32(name)}
	if err := n.s.call.Option(ctx, &req, &rep, &x); err != nil {
		return 0, n.s.outcome(err)
	}
	if int(rep.N) > netwire.MaxOption {
		return 0, n.s.broken("an option of %d bytes", rep.N)
	}
	return int(rep.N), nil
}

// SetOption asks the server.
func (n *netSocket) SetOption(ctx context.Context, level, name int, value []byte) error {
	if len(value) > netwire.MaxOption {
		return syscall.EINVAL
	}
	req := netwire.OptionRequest{Socket: n.id, Level: int32(level), Name: int32(name)}
	return n.s.outcome(n.s.call.SetOption(ctx, &req, new(netwire.Empty), &lane.Extra{Bulk: value}))
}

// Ioctl asks the server, with what the argument begins with.
func (n *netSocket) Ioctl(ctx context.Context, cmd uint32, arg vfs.IoctlArg) (uintptr, error) {
	var p [netwire.MaxIoctl]byte
	// To the end of a page: what begins the argument can be read, or all cannot.
	page := os.Getpagesize()
	size := min(len(p), page-int(arg.Value()%uint64(page)))
	if arg.ReadAt(p[:size], 0) != nil {
		size = 0
	} else if size < len(p) && arg.ReadAt(p[size:], size) == nil {
		size = len(p)
	}
	var rep netwire.IoctlReply
	req := netwire.IoctlRequest{Socket: n.id, Cmd: cmd, Value: arg.Value()}
	if err := n.s.call.Ioctl(ctx, &req, &rep, &lane.Extra{Bulk: p[:size]}); err != nil {
		return 0, n.s.outcome(err)
	}
	if rep.Off > netwire.MaxIoctl || int(rep.Off)+len(rep.Data) > netwire.MaxIoctl {
		return 0, n.s.broken("an ioctl's answer of %d bytes at %d", len(rep.Data), rep.Off)
	}
	if len(rep.Data) > 0 {
		if err := arg.WriteAt(rep.Data, int(rep.Off)); err != nil {
			return 0, err
		}
	}
	return uintptr(rep.N), nil
}
