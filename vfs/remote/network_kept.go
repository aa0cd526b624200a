package remote

import (
	"context"
	"slices"
	"sync"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// A caller that has left, while the server answered, has had nothing: the connection or
// the bytes are kept for the next one, in the order in which they came.

// kept is what a socket has of such callers.
type kept struct {
	mu      sync.Mutex // a leaf
	last    uint64
	conns   []keptConn
	packets []keptPacket
	ended   bool
}

type keptConn struct {
	order uint64
	sock  vfs.Socket
	addr  []byte
}

// keptPacket is a message, or bytes of a stream.
type keptPacket struct {
	order               uint64
	class               class
	flags               int
	data, addr, control []byte
}

// class is what a Receive can ask for: data, urgent data, or messages of the queue of
// errors.
type class int

func classOf(flags int) class { return class(flags & (unix.MSG_OOB | unix.MSG_ERRQUEUE)) }

func (c class) events() vfs.Events {
	switch {
	case c&unix.MSG_ERRQUEUE != 0:
		return vfs.EventErr
	case c&unix.MSG_OOB != 0:
		return vfs.EventPri
	}
	return vfs.EventsIn
}

// number is the place of what was taken from the socket now.
func (k *kept) number() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last++
	return k.last
}

// events are those that hold because of what is kept.
func (k *kept) events() (e vfs.Events) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.conns) > 0 {
		e = vfs.EventsIn
	}
	for i := range k.packets {
		e |= k.packets[i].class.events()
	}
	return e
}

// conn takes the first connection.
func (k *kept) conn() (c keptConn, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.conns) == 0 {
		return c, false
	}
	c = k.conns[0]
	k.conns = slices.Delete(k.conns, 0, 1)
	return c, true
}

// packet takes the first packet of a class, or with peek looks at it.
func (k *kept) packet(c class, peek bool) (p keptPacket, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	i := slices.IndexFunc(k.packets, func(p keptPacket) bool { return p.class == c })
	if i < 0 {
		return p, false
	}
	p = k.packets[i]
	if !peek {
		k.packets = slices.Delete(k.packets, i, i+1)
	}
	return p, true
}

// end returns the connections, which are the caller's to close; nothing is kept any
// more.
func (k *kept) end() []keptConn {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := k.conns
	k.conns, k.packets, k.ended = nil, nil, true
	return all
}

func (s *servedSocket) keepConn(c keptConn) {
	k := &s.kept
	k.mu.Lock()
	ended := k.ended
	if !ended {
		i, _ := slices.BinarySearchFunc(k.conns, c.order, func(o keptConn, at uint64) int { return int(o.order) - int(at) })
		k.conns = slices.Insert(k.conns, i, c)
	}
	k.mu.Unlock()
	if ended {
		c.sock.Close()
		return
	}
	s.wake(vfs.EventsIn)
}

func (s *servedSocket) keepPacket(p keptPacket) {
	k := &s.kept
	k.mu.Lock()
	if !k.ended {
		i, _ := slices.BinarySearchFunc(k.packets, p.order, func(o keptPacket, at uint64) int { return int(o.order) - int(at) })
		k.packets = slices.Insert(k.packets, i, p)
	}
	k.mu.Unlock()
	s.wake(p.class.events())
}

// wholeMessage is more than a datagram can have: all of it is received, so that one
// whose caller has left is whole for the next.
const wholeMessage = 64 << 10

var messages = sync.Pool{New: func() any { return new([wholeMessage]byte) }}

// Receive answers with what was kept first.
func (c *netConn) Receive(ctx context.Context, req *netwire.ReceiveRequest, rep *netwire.ReceiveReply, r *lane.Request) error {
	size, control := int(req.Size), int(req.Control)
	if size > netwire.MaxTransfer || control > netwire.MaxControl || size+control > r.MaxBulk() {
		return c.broken("room for %d and %d bytes in %d", size, control, r.MaxBulk())
	}
	s, err := c.socket(req.Socket)
	if err != nil {
		return err
	}
	defer c.put(s)
	// Until it is known whether the last one has had what it got.
	select {
	case s.turn <- struct{}{}:
		r.OnSettled(func() { <-s.turn })
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	room := r.Room(size + control)
	flags := int(req.Flags)
	of, peek := classOf(flags), flags&unix.MSG_PEEK != 0
	stream := s.stream && of&unix.MSG_ERRQUEUE == 0
	p, ok := s.kept.packet(of, peek)
	if !ok {
		m := vfs.Packet{Flags: flags, Data: room[:size:size], Control: room[size:size]}
		if stream {
			m.Flags &^= unix.MSG_TRUNC // what is thrown away is thrown away when the caller has had it
		} else if size < wholeMessage {
			whole := messages.Get().(*[wholeMessage]byte)
			defer messages.Put(whole)
			m.Data = whole[:]
		}
		n, err := s.sock.Receive(ctx, &m)
		if err != nil {
			return err
		}
		p = keptPacket{class: of, flags: m.Flags, data: m.Data[:min(n, len(m.Data))], addr: m.Addr, control: m.Control}
		rep.N = uint32(n)
		if !peek {
			p.order = s.kept.number()
		}
	} else {
		rep.N = uint32(len(p.data))
	}
	s.deliver(p, ok, req, rep, r, room, stream)
	return nil
}

// deliver answers with p, or of a stream with as much of it as was asked for; what
// remains, and all of it if the caller has left, is kept. p lies in the room or in
// memory that is about to be another's, unless it was kept.
func (s *servedSocket) deliver(p keptPacket, own bool, req *netwire.ReceiveRequest, rep *netwire.ReceiveReply, r *lane.Request,
	room []byte, stream bool) {
	size, flags := int(req.Size), int(req.Flags)
	peek, counts := flags&unix.MSG_PEEK != 0, stream && flags&unix.MSG_TRUNC != 0
	all := p
	n := min(len(p.data), size)
	if stream {
		rep.N = uint32(n)
		if all.data = p.data[:n]; n < len(p.data) && !peek {
			rest := p // with the same number: all goes before it, if it comes back
			rest.data, rest.control = slices.Clone(p.data[n:]), nil
			s.keepPacket(rest)
		}
	}
	undo := !peek && (n > 0 || !stream)
	if undo && !own && (n < len(all.data) || counts || len(p.control) > 0) {
		all = all.clone()
		own = true
	}
	rep.Flags = int32(p.flags)
	if !stream && len(p.data) > size {
		rep.Flags |= unix.MSG_TRUNC
		if flags&unix.MSG_TRUNC == 0 {
			rep.N = uint32(n)
		}
	}
	if counts {
		n = 0
	}
	copy(room, all.data[:n])
	controlled := copy(room[n:n+min(int(req.Control), len(room)-n)], all.control)
	if controlled < len(p.control) {
		rep.Flags |= unix.MSG_CTRUNC
	}
	if undo {
		if !own {
			all.data = room[:n] // the reply's until it is known that nobody has it
		}
		r.OnUndelivered(func() { s.keepPacket(all.clone()) })
	}
	rep.Addr, rep.Control = p.addr[:min(len(p.addr), vfs.SockaddrMax)], uint32(controlled)
	rep.Kept = uint32(s.kept.events())
	r.Reply.Bulk = room[:n+controlled]
}

func (p keptPacket) clone() keptPacket {
	p.data, p.addr, p.control = slices.Clone(p.data), slices.Clone(p.addr), slices.Clone(p.control)
	return p
}
