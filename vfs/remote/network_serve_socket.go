package remote

import (
	"context"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// Socket makes one. It is closed if the caller has left.
func (c *netConn) Socket(ctx context.Context, req *netwire.SocketRequest, rep *netwire.SocketReply, r *lane.Request) error {
	sock, err := c.net.Socket(ctx, int(req.Family), int(req.Type), int(req.Protocol))
	if err != nil {
		return err
	}
	s, err := c.add(sock, req.Type == unix.SOCK_STREAM)
	if err != nil {
		sock.Close()
		return err
	}
	r.OnUndelivered(func() {
		if sock := c.takeBack(s); sock != nil {
			sock.Close()
		}
	})
	rep.Socket = c.give(ctx, s, r)
	return nil
}

// give names a socket in a reply, with what it can be lent of it.
func (c *netConn) give(ctx context.Context, s *servedSocket, r *lane.Request) netwire.Socket {
	w := netwire.Socket{ID: s.id}
	l, ok := s.sock.(vfs.Lender)
	if !ok || !s.stream || c.opts.NoLend {
		return w
	}
	loan, err := l.Lend(ctx, false, func() { c.note(s.recall) })
	if err != nil {
		return w // it can be asked all the same
	}
	back := func() {}
	if loan.Return != nil {
		back = loan.Return
	}
	fd, err := unix.FcntlInt(uintptr(loan.FD), unix.F_DUPFD_CLOEXEC, 0)
	var o *lane.File
	if err == nil {
		o, err = lane.NewFile(fd)
	}
	if err != nil {
		back()
		return w
	}
	s.lending.Lock()
	s.back = back
	s.lending.Unlock()
	if k, ok := s.sock.(interface{ tellKept(func(vfs.Events)) }); ok {
		k.tellKept(s.wake)
	}
	r.Reply.Objects = append(r.Reply.Objects, o)
	w.Bits = netwire.SocketLent
	return w
}

// Bind gives a socket an address.
func (c *netConn) Bind(ctx context.Context, req *netwire.AddrRequest, _ *netwire.Empty, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	return s.sock.Bind(ctx, req.Addr)
}

// Connect begins to connect, or tells how that goes.
func (c *netConn) Connect(ctx context.Context, req *netwire.AddrRequest, _ *netwire.Empty, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	return s.sock.Connect(ctx, req.Addr)
}

// Listen has a socket accept connections.
func (c *netConn) Listen(ctx context.Context, req *netwire.NumberRequest, _ *netwire.Empty, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	return s.sock.Listen(ctx, int(req.Number))
}

// Accept takes a connection: one that a caller has left, or the next.
func (c *netConn) Accept(ctx context.Context, req *netwire.NumberRequest, rep *netwire.AcceptReply, r *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	k, ok := s.kept.conn()
	if !ok {
		if k.sock, k.addr, err = s.sock.Accept(ctx); err != nil {
			return err
		}
		k.order = s.kept.number()
	}
	conn, err := c.add(k.sock, s.stream)
	if err != nil {
		s.keepConn(k)
		return err
	}
	r.OnUndelivered(func() {
		if k.sock = c.takeBack(conn); k.sock != nil {
			s.keepConn(k)
		}
	})
	rep.Socket = c.give(ctx, conn, r)
	rep.Addr, rep.Kept = k.addr[:min(len(k.addr), vfs.SockaddrMax)], uint32(s.kept.events())
	return nil
}

// Addr tells an address.
func (c *netConn) Addr(ctx context.Context, req *netwire.NumberRequest, rep *netwire.AddrReply, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	addr, err := s.sock.Addr(ctx, req.Number != 0)
	rep.Addr = addr[:min(len(addr), vfs.SockaddrMax)]
	return err
}

// Shutdown ends directions.
func (c *netConn) Shutdown(ctx context.Context, req *netwire.NumberRequest, _ *netwire.Empty, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	return s.sock.Shutdown(ctx, int(req.Number))
}

// Send sends.
func (c *netConn) Send(ctx context.Context, req *netwire.SendRequest, rep *netwire.CountReply, r *lane.Request) error {
	if int64(req.Control) > int64(len(r.Bulk)) || req.Control > netwire.MaxControl {
		return c.broken("%d bytes of ancillary data in %d", req.Control, len(r.Bulk))
	}
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	data := len(r.Bulk) - int(req.Control)
	m := vfs.Packet{Data: r.Bulk[:data:data], Flags: int(req.Flags), Addr: req.Addr, Control: r.Bulk[data:]}
	n, err := s.sock.Send(ctx, &m)
	rep.N = uint32(n)
	return err
}

// Option reads an option.
func (c *netConn) Option(ctx context.Context, req *netwire.OptionRequest, rep *netwire.CountReply, r *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	value := r.Room(len(r.Bulk))
	copy(value, r.Bulk)
	n, err := s.sock.Option(ctx, int(req.Level), int(req.Name), value)
	if err != nil {
		return err
	}
	r.Reply.Bulk, rep.N = value, uint32(n)
	return nil
}

// SetOption sets one.
func (c *netConn) SetOption(ctx context.Context, req *netwire.OptionRequest, _ *netwire.Empty, r *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	return s.sock.SetOption(ctx, int(req.Level), int(req.Name), r.Bulk)
}

// Ioctl asks the socket, if it has any.
func (c *netConn) Ioctl(ctx context.Context, req *netwire.IoctlRequest, rep *netwire.IoctlReply, r *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	i, ok := s.sock.(vfs.Ioctler)
	if !ok {
		return syscall.ENOTTY
	}
	arg := givenArg{value: req.Value, given: r.Bulk, end: -1}
	n, err := i.Ioctl(ctx, req.Cmd, &arg)
	if err != nil {
		return err
	}
	rep.N = uint64(n)
	if arg.end >= 0 {
		rep.Off, rep.Data = uint32(arg.begin), arg.p[arg.begin:arg.end]
	}
	return nil
}

// givenArg is an ioctl's argument, of which the beginning came along.
type givenArg struct {
	value      uint64
	given      []byte
	p          [netwire.MaxIoctl]byte // what was written
	begin, end int                    // of that; end -1: nothing
}

func (a *givenArg) Value() uint64 { return a.value }

func (a *givenArg) ReadAt(p []byte, off int) error {
	if off < 0 || off > len(a.given) || copy(p, a.given[off:]) < len(p) {
		return syscall.EFAULT
	}
	return nil
}

func (a *givenArg) WriteAt(p []byte, off int) error {
	if off < 0 || off > len(a.p) || len(p) > len(a.p)-off {
		return syscall.EFAULT
	}
	if a.end < 0 {
		a.begin, a.end = off, off
		copy(a.p[:], a.given) // what lies between two writes stays
	}
	copy(a.p[off:], p)
	a.begin, a.end = min(a.begin, off), max(a.end, off+len(p))
	return nil
}

// keeping is a socket's readiness with what is kept of it.
type keeping struct{ s *servedSocket }

func (k keeping) Poll(mask vfs.Events) vfs.Events {
	return k.s.sock.Poll(mask) | k.s.kept.events()&(mask|vfs.EventErr)
}
func (k keeping) Watch(w *vfs.Waiter)   { k.s.sock.Watch(w) }
func (k keeping) Unwatch(w *vfs.Waiter) { k.s.sock.Unwatch(w) }

// Poll tells of now.
func (c *netConn) Poll(_ context.Context, req *netwire.PollRequest, rep *netwire.ReadyReply, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	rep.Events = uint32(keeping{s}.Poll(vfs.Events(req.Mask)))
	return nil
}

// Arm answers at once, or promises a note. The first is answered with what holds.
func (c *netConn) Arm(_ context.Context, req *netwire.ArmRequest, rep *netwire.ReadyReply, _ *lane.Request) error {
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	s.watch.start(keeping{s}, s.tell)
	seq, events := s.watch.arm(req.Seen)
	rep.Seq, rep.Events = seq, uint32(events)
	return nil
}

func (s *servedSocket) tell() { s.c.note(s.ready) }

// ready sends the note that is owed.
func (s *servedSocket) ready(ctx context.Context) error {
	seq, events := s.watch.take()
	note := netwire.ReadyNote{Socket: s.id, Events: uint32(events), Seq: seq}
	return (&netwire.Client{Lane: s.c.end}).Ready(ctx, &note, nil)
}

// recall sends the note that ends the loan.
func (s *servedSocket) recall(ctx context.Context) error {
	return (&netwire.Client{Lane: s.c.end}).Recall(ctx, &netwire.NumberRequest{Socket: s.id}, nil)
}

// wake tells the client of what is kept, here or further on, whether it has asked or not.
func (s *servedSocket) wake(events vfs.Events) {
	s.watch.mu.Lock()
	s.watch.seq++
	s.watch.events |= events
	tell := s.watch.armed || s.lent()
	s.watch.armed = false
	s.watch.mu.Unlock()
	if tell {
		s.tell()
	}
}
