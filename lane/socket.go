package lane

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// What travels on a ring lane's socket: SOCK_SEQPACKET messages whose first byte
// is their kind. An empty message, like a hang-up, ends the lane.
const (
	msgBell    = 1 // look at the memory
	msgObjects = 2 // descriptors of a request or reply, sent before it is posted
	msgHello   = 3 // the receiver of a passed lane shows its credentials
)

// An objects message: 16 bytes (kind, 1 for a reply, slot as uint16, count,
// 3 zero bytes, generation as uint64), then 4 bytes per object (kind, rights,
// descriptors, zero), with all the descriptors in one SCM_RIGHTS.
const objectsHeader = 16

// fdKey names the message to which descriptors belong.
type fdKey struct {
	reply bool
	slot  uint16
	gen   uint64
}

// fdSet is the objects of one message. missing counts those that the kernel
// could not install here, for want of free numbers.
type fdSet struct {
	list    []exported
	missing bool
}

func (s fdSet) close() { closeExported(s.list) }

// sendObjects sends descriptors ahead of the message that they belong to and
// closes them here, in any case. It waits, with ctx, for room in the socket.
func (r *ring) sendObjects(ctx context.Context, key fdKey, list []exported) error {
	defer closeExported(list)
	p := make([]byte, objectsHeader, objectsHeader+4*len(list))
	p[0] = msgObjects
	if key.reply {
		p[1] = 1
	}
	binary.LittleEndian.PutUint16(p[2:], key.slot)
	p[4] = byte(len(list))
	binary.LittleEndian.PutUint64(p[8:], key.gen)
	var fds []int
	for _, e := range list {
		p = append(p, e.kind, byte(e.rights), byte(e.n), 0)
		fds = append(fds, e.fds[:e.n]...)
	}
	return r.sendWait(ctx, p, unix.UnixRights(fds...))
}

// sendWait sends one message, waiting while the socket is full.
func (r *ring) sendWait(ctx context.Context, p, oob []byte) error {
	for {
		_, err := unix.SendmsgN(r.sock, p, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch err {
		case nil:
			return nil
		case syscall.EINTR:
			continue
		case syscall.EPIPE, syscall.ECONNRESET, syscall.ENOTCONN:
			return ErrPeerDied
		case syscall.EAGAIN, syscall.ENOBUFS, syscall.ETOOMANYREFS:
		default:
			return fmt.Errorf("lane: send: %w", err)
		}
		if err == syscall.ETOOMANYREFS {
			return fmt.Errorf("lane: send: %w", err) // descriptors in flight are bounded per user
		}
		ch := r.wantWritable()
		// Room may have come before the wish was known: the edge that asking makes
		// tells of it.
		select {
		case <-ch:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if r.dead.Load() {
			return r.err
		}
	}
}

// wantWritable returns a channel that is closed once the socket has room, or the
// lane is dead.
func (r *ring) wantWritable() <-chan struct{} {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	ch := r.writable
	if ch == nil {
		ch = make(chan struct{})
		r.writable = ch
	}
	if r.dead.Load() {
		close(ch)
		r.writable = nil
		return ch
	}
	hubWritable(r, true)
	return ch
}

func (r *ring) notifyWritable() {
	r.wmu.Lock()
	defer r.wmu.Unlock()
	if r.writable != nil {
		close(r.writable)
		r.writable = nil
		hubWritable(r, false)
	}
}

// takeObjects returns the objects of a message that has been posted. They were
// sent before it, so they are here or in the socket.
func (r *ring) takeObjects(key fdKey, n int) ([]Object, error) {
	r.recvMu.Lock()
	set, ok := r.fds[key]
	var broken error
	if !ok {
		broken = r.fetchLocked()
		set, ok = r.fds[key]
	}
	delete(r.fds, key)
	r.recvMu.Unlock()
	if ok && set.missing && len(set.list) == n {
		return nil, fmt.Errorf("lane: descriptors lost: %w", syscall.EMFILE)
	}
	if !ok || len(set.list) != n {
		set.close()
		if broken == nil {
			broken = ErrProtocol
		}
		r.fail(broken)
		return nil, broken
	}
	out := make([]Object, 0, n)
	for i, e := range set.list {
		o, err := importObject(e)
		if l, ok := o.(*Lane); ok && err == nil {
			l.inherit(&r.lane.cfg)
			if lay, bad := readLayout(l.fds[1]); bad != nil {
				err = bad
			} else {
				err = l.fits(lay)
			}
			if err != nil {
				l.Close()
			}
		}
		if err != nil {
			closeExported(set.list[i+1:])
			closeObjects(out)
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

// dropObjects closes what came for messages that nobody takes.
func (r *ring) dropObjects(keys ...fdKey) {
	r.recvMu.Lock()
	broken := r.fetchLocked()
	for _, k := range keys {
		if set, ok := r.fds[k]; ok {
			set.close()
			delete(r.fds, k)
		}
	}
	r.recvMu.Unlock()
	if broken != nil {
		r.fail(broken)
	}
}

var recvBufs = sync.Pool{New: func() any { return new(recvBuf) }}

// fetchLocked drains the socket for descriptors. A bell that it finds there is
// passed on: the hub, for which it was meant, will not see it any more.
func (r *ring) fetchLocked() error {
	r.rung = false
	err := r.drainLocked()
	if r.rung {
		hubAgain(r)
	}
	return err
}

// drainLocked reads the socket until it is empty. An error means that the lane
// is over.
func (r *ring) drainLocked() error {
	b := recvBufs.Get().(*recvBuf)
	defer recvBufs.Put(b)
	for {
		n, err := b.recv(r.sock)
		if err == syscall.EAGAIN {
			return nil
		}
		if err != nil {
			return ErrPeerDied
		}
		var over error // what comes after it is closed
		for i := range n {
			p, oob, flags := b.message(i)
			if len(oob) == 0 && len(p) == 1 && p[0] == msgBell {
				r.rung = true
				continue
			}
			if err := r.receivedLocked(p, oob, flags, over); over == nil {
				over = err
			}
		}
		if over != nil || n < recvBatch {
			return over
		}
	}
}

// receivedLocked deals with a message that is not a plain bell. Once the lane is
// over only its descriptors are closed.
func (r *ring) receivedLocked(p, oob []byte, flags int32, over error) error {
	fds, cred := parseControl(oob)
	switch {
	case over != nil:
	case len(p) == 0:
		over = ErrPeerDied
	case p[0] == msgBell:
		r.rung = true
	case p[0] == msgHello && len(fds) == 0:
		if cred != nil {
			r.peer.Store(cred)
			unix.SetsockoptInt(r.sock, unix.SOL_SOCKET, unix.SO_PASSCRED, 0)
		}
	case p[0] == msgObjects && flags&unix.MSG_TRUNC == 0:
		return r.storeObjects(p, fds, flags&unix.MSG_CTRUNC != 0)
	default:
		over = ErrProtocol
	}
	closeFDs(fds)
	return over
}

// storeObjects keeps an objects message until its request or reply is taken.
func (r *ring) storeObjects(p []byte, fds []int, truncated bool) error {
	n := 0
	if len(p) >= objectsHeader {
		n = int(p[4])
	}
	if n == 0 || n > MaxObjects || len(p) != objectsHeader+4*n {
		closeFDs(fds)
		return ErrProtocol
	}
	key := fdKey{reply: p[1] == 1, slot: binary.LittleEndian.Uint16(p[2:]), gen: binary.LittleEndian.Uint64(p[8:])}
	set := fdSet{list: make([]exported, 0, n)}
	rest := fds
	for d := p[objectsHeader:]; len(d) > 0; d = d[4:] {
		e := exported{kind: d[0], rights: Rights(d[1]) & AllRights, n: int(d[2])}
		if e.n > len(e.fds) || e.n > len(rest) {
			set.missing = true
			break
		}
		copy(e.fds[:], rest[:e.n])
		rest = rest[e.n:]
		set.list = append(set.list, e)
	}
	closeFDs(rest)
	if set.missing {
		set.close()
		set.list = nil
		if !truncated {
			return ErrProtocol
		}
		set.list = make([]exported, n) // nothing in them to close
	}
	if _, twice := r.fds[key]; twice || len(r.fds) >= 2*r.lay.slots {
		set.close()
		return ErrProtocol
	}
	r.fds[key] = set
	return nil
}

// parseControl returns the descriptors and the sender's credentials, if any.
func parseControl(oob []byte) (fds []int, cred *Credentials) {
	for len(oob) > 0 {
		hdr, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return fds, cred
		}
		oob = rest
		m := unix.SocketControlMessage{Header: hdr, Data: data}
		if hdr.Level != unix.SOL_SOCKET {
			continue
		}
		switch hdr.Type {
		case unix.SCM_RIGHTS:
			if got, err := unix.ParseUnixRights(&m); err == nil {
				fds = append(fds, got...)
			}
		case unix.SCM_CREDENTIALS:
			if c, err := unix.ParseUnixCredentials(&m); err == nil {
				cred = &Credentials{PID: int(c.Pid), UID: int(c.Uid), GID: int(c.Gid)}
			}
		}
	}
	return fds, cred
}
