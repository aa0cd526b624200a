package remote

import (
	"context"
	"slices"
	"syscall"

	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote/internal/netwire"
	"golang.org/x/sys/unix"
)

// Send sends.
func (n *netSocket) Send(ctx context.Context, m *vfs.Packet) (int, error) {
	if m.Flags&^lentSend == 0 && len(m.Addr) == 0 && len(m.Control) == 0 {
		n.mu.RLock()
		if n.host != nil {
			defer n.mu.RUnlock()
			return n.host.send(m)
		}
		n.mu.RUnlock()
	}
	if len(m.Addr) > vfs.SockaddrMax {
		return 0, syscall.EINVAL
	}
	if len(m.Control) > netwire.MaxControl {
		return 0, syscall.ENOBUFS
	}
	data := m.Data
	if most := netwire.MaxTransfer - len(m.Control); len(data) > most {
		if !n.stream {
			return 0, syscall.EMSGSIZE
		}
		data = data[:most]
	}
	req := netwire.SendRequest{Socket: n.id, Flags: int32(m.Flags), Addr: m.Addr, Control: uint32(len(m.Control))}
	x := lane.Extra{Bulk: data}
	if len(m.Control) > 0 {
		x.Bulk = slices.Concat(data, m.Control)
	}
	var rep netwire.CountReply
	if err := n.s.call.Send(ctx, &req, &rep, &x); err != nil {
		return 0, n.s.outcome(err)
	}
	if int(rep.N) > len(data) || n.stream && rep.N == 0 && len(data) > 0 { // which would be tried again for ever
		return 0, n.s.broken("it sent %d of %d bytes", rep.N, len(data))
	}
	return int(rep.N), nil
}

// Receive receives. What a caller has left is the next one's.
func (n *netSocket) Receive(ctx context.Context, m *vfs.Packet) (int, error) {
	if m.Flags&^lentReceive == 0 {
		n.mu.RLock()
		if n.host != nil {
			defer n.mu.RUnlock()
			return n.host.receive(m)
		}
		n.mu.RUnlock()
	}
	size, control := min(len(m.Data), netwire.MaxTransfer), min(cap(m.Control), netwire.MaxControl)
	if control > 0 {
		size = min(size, netwire.MaxTransfer-control)
	}
	req := netwire.ReceiveRequest{Socket: n.id, Flags: int32(m.Flags), Size: uint32(size), Control: uint32(control)}
	x := lane.Extra{Room: m.Data[:size]}
	if control > 0 {
		x.Room = make([]byte, size+control)
	}
	kept := n.kept.Load() & uint32(classOf(m.Flags).events())
	n.kept.And(^kept)
	var rep netwire.ReceiveReply
	if err := n.s.outcome(n.s.call.Receive(ctx, &req, &rep, &x)); err != nil {
		if !answered(err) {
			n.keeps(kept) // perhaps
		}
		return 0, err
	}
	data := len(x.Room) - int(rep.Control)
	if rep.N > netwire.MaxTransfer || int(rep.Control) > control || data < 0 || data > min(int(rep.N), size) ||
		n.stream && int(rep.N) > size {
		return 0, n.s.broken("it received %d bytes of %d, %d of %d, and %d", rep.N, size, rep.Control, control, data)
	}
	n.keeps(rep.Kept & uint32(allEvents))
	if control > 0 {
		copy(m.Data, x.Room[:data])
		m.Control = append(m.Control[:0], x.Room[data:]...)
	}
	if m.Flags&unix.MSG_TRUNC == 0 || !n.stream {
		clear(m.Data[data:min(int(rep.N), size)]) // a server that sends less than it says shows nobody's bytes
	}
	m.Addr = append(m.Addr[:0], rep.Addr...)
	m.Flags = int(rep.Flags)
	return int(rep.N), nil
}
