package netlink

import (
	"context"
	"encoding/binary"
	"errors"
	"syscall"

	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// Values of rtnetlink(7) that x/sys/unix lacks.
const (
	rtmMax    = 126 // the last type that Linux has as of 6.12
	kindGet   = 2   // of the four kinds that a type's lowest bits tell
	kindCount = 4
)

// serve answers the requests in b. All is asked before anything is put into the queue:
// a call that is given up on the way has had no effect.
func (s *Socket) serve(ctx context.Context, port uint32, b []byte) error {
	r := replies{port: port}
	s.mu.Lock()
	r.short, r.strict = s.has(unix.NETLINK_CAP_ACK), s.has(unix.NETLINK_GET_STRICT_CHK)
	s.mu.Unlock()
	for m := range netinfo.Messages(b) {
		var err error
		dump := false
		if m.Flags&unix.NLM_F_REQUEST != 0 && m.Type >= unix.NLMSG_MIN_TYPE {
			if s.protocol == unix.NETLINK_SOCK_DIAG {
				dump, err = s.diagnose(ctx, m, &r)
			} else {
				dump, err = s.request(ctx, m, &r)
			}
		}
		if ctx.Err() != nil && err != nil {
			s.abandon(&r)
			return context.Cause(ctx)
		}
		if err != nil || m.Flags&unix.NLM_F_ACK != 0 && !dump {
			r.add(r.acknowledge(m, err))
		}
	}
	s.deliver(&r)
	return nil
}

// replies are the answers to one datagram.
type replies struct {
	port          uint32
	short, strict bool
	messages      [][]byte
	dump          bool
	dumped, end   []byte
}

func (r *replies) add(b []byte) { r.messages = append(r.messages, b) }

// acknowledge makes the NLMSG_ERROR that answers m.
func (r *replies) acknowledge(m netinfo.Message, err error) []byte {
	var e syscall.Errno
	if err != nil && !errors.As(err, &e) {
		e = syscall.EIO
	}
	body := binary.NativeEndian.AppendUint32(nil, uint32(-int32(e)))
	body = m.Append(body)
	flags := uint16(0)
	if e == 0 || r.short {
		body, flags = body[:4+unix.SizeofNlMsghdr], unix.NLM_F_CAPPED
	}
	return netinfo.Message{Type: unix.NLMSG_ERROR, Flags: flags, Seq: m.Seq, PID: r.port, Body: body}.Append(nil)
}

// request does what one message asks for; dump says that it was for a dump, which is
// under way.
func (s *Socket) request(ctx context.Context, m netinfo.Message, r *replies) (dump bool, err error) {
	if m.Type > rtmMax {
		return false, syscall.EOPNOTSUPP
	}
	if len(m.Body) == 0 {
		return false, nil // as Linux: not even the family
	}
	if m.Type%kindCount != kindGet {
		return false, syscall.EPERM
	}
	if m.Flags&unix.NLM_F_DUMP == 0 {
		b, err := s.single(ctx, m)
		for found := range netinfo.Messages(b) {
			found.Seq, found.PID = m.Seq, r.port
			r.add(found.Append(nil))
			break
		}
		return false, err
	}
	return true, s.dumpOf(ctx, m, r)
}

// dumpOf begins a dump, of which a socket has one at a time.
func (s *Socket) dumpOf(ctx context.Context, m netinfo.Message, r *replies) error {
	want, flags, err := filterOf(m, r.strict)
	if err != nil {
		return err
	}
	return s.begin(m, r, flags, want, func() ([]byte, error) {
		return s.server.from.Describe(ctx, vfs.NetQuery{Type: m.Type, Family: m.Body[0]})
	})
}

// begin begins a dump of those of all that are wanted.
func (s *Socket) begin(m netinfo.Message, r *replies, flags uint16, want func([]byte) bool, all func() ([]byte, error)) error {
	s.mu.Lock()
	busy := s.dumping
	s.dumping = true
	s.mu.Unlock()
	if busy {
		return syscall.EBUSY
	}
	b, err := all()
	if err != nil {
		s.mu.Lock()
		s.dumping = false
		s.mu.Unlock()
		return err
	}
	flags |= unix.NLM_F_MULTI
	r.dump = true
	r.dumped = make([]byte, 0, len(b))
	for found := range netinfo.Messages(b) {
		if want(found.Body) {
			r.dumped = netinfo.Message{Type: found.Type, Flags: flags, Seq: m.Seq, PID: r.port, Body: found.Body}.Append(r.dumped)
		}
	}
	r.end = netinfo.Message{Type: unix.NLMSG_DONE, Flags: flags, Seq: m.Seq, PID: r.port, Body: make([]byte, 4)}.Append(nil)
	return nil
}

// abandon forgets a dump that was begun.
func (s *Socket) abandon(r *replies) {
	if r.dump {
		s.mu.Lock()
		s.dumping = false
		s.mu.Unlock()
	}
}

// deliver puts the answers into the queue. What has no room there is lost, and the next
// receiver hears of it.
func (s *Socket) deliver(r *replies) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.dump {
		s.dump, s.end = r.dumped, r.end
		s.pump()
	}
	for _, b := range r.messages {
		if s.queued+len(b) > s.sizes[1] {
			if !s.has(unix.NETLINK_NO_ENOBUFS) {
				s.err = syscall.ENOBUFS
				s.Notify(vfs.EventErr)
			}
			return
		}
		s.enqueue(b)
	}
}
