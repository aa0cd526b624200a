package faulttest

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// netWorker is one client of networks.
type netWorker struct {
	worker
	r       *netRound
	patient bool // gives up no call
}

// A message is its place's number, its sender's and its own; so does a connection
// begin.
const messageSize = 24

func message(p *place, from, number uint64) []byte {
	b := binary.LittleEndian.AppendUint64(nil, p.id)
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, from), number)
}

func (w *netWorker) do(f func(context.Context) error) error {
	if w.patient {
		return f(context.Background())
	}
	return w.worker.do(f)
}

// outcome is harness.outcome; of a liar's answer that was spoilt, too.
func (w *netWorker) outcome(err error) (happened, perhaps bool) {
	if err != nil && w.site.Judge(err) == Doubt {
		w.r.spoilt.Store(true)
	}
	return w.worker.outcome(err)
}

// step does one thing.
func (w *netWorker) step(here, there *place) {
	switch k := rand.IntN(9); {
	case k < 2 && there.sent.reserve(3):
		w.send(here, there)
	case k < 4:
		for range 3 {
			w.receive(here)
		}
	case k < 6 && there.connected.reserve(1):
		w.connect(here, there)
	case k < 8:
		w.accept(here)
	default:
		w.ask(here)
	}
}

// socket makes one; nil when that was given up.
func (w *netWorker) socket(p *place, typ int) (s vfs.Socket) {
	err := w.do(func(ctx context.Context) (err error) {
		s, err = p.way.Network().Socket(ctx, unix.AF_INET, typ, 0)
		return err
	})
	w.outcome(err)
	return s
}

// send sends three datagrams.
func (w *netWorker) send(here, there *place) {
	s := w.socket(here, unix.SOCK_DGRAM)
	if s == nil {
		there.sent.waiting.Add(-3)
		return
	}
	defer s.Close()
	from := lastValue.Add(1)
	for range 3 {
		number := lastValue.Add(1)
		call := w.now()
		err := w.do(func(ctx context.Context) error {
			n, err := s.Send(ctx, &vfs.Packet{Data: message(there, from, number), Addr: there.datagramAt})
			if err == nil && n != messageSize {
				w.Errorf("%d bytes of a datagram were sent", n)
			}
			return err
		})
		happened, perhaps := w.outcome(err)
		there.sent.send(&w.worker, number, from, call, happened && err == nil, perhaps)
	}
}

// receive takes a datagram; false if there is none.
func (w *netWorker) receive(p *place) bool {
	m := vfs.Packet{Data: make([]byte, 100), Control: make([]byte, 0, rand.IntN(2)*64)}
	var n int
	call := w.now()
	err := w.do(func(ctx context.Context) (err error) { n, err = p.datagrams.Receive(ctx, &m); return err })
	back := w.now()
	w.outcome(err)
	if err != nil {
		w.left(p, err)
		return false
	}
	if n != messageSize {
		if !w.r.lies {
			w.Errorf("a datagram of %d bytes", n)
		}
		p.lossy.Store(true)
		return true
	}
	if binary.LittleEndian.Uint64(m.Data) == p.id { // else it was for who had the address before
		p.sent.take(&w.worker, binary.LittleEndian.Uint64(m.Data[16:]), call, back)
	}
	return true
}

// again is true for a call that was left, and can be made once more.
func again(p *place, err error) bool {
	return p.way.Err() == nil &&
		(err == vfs.ErrInterrupted || err == vfs.ErrKilled || errors.Is(err, vfs.ErrInDoubt))
}

// left notes how a call ended that takes something.
func (w *netWorker) left(p *place, err error) {
	if w.site.Judge(err) == Doubt {
		p.lossy.Store(true)
	}
}

// connect makes a connection and sends over it.
func (w *netWorker) connect(here, there *place) {
	number := lastValue.Add(1)
	call := w.now()
	s := w.socket(here, unix.SOCK_STREAM)
	if s == nil {
		there.connected.waiting.Add(-1)
		return
	}
	defer s.Close()
	for {
		err := w.do(func(ctx context.Context) error { return s.Connect(ctx, there.listenAt) })
		switch {
		case err == nil, err == syscall.EISCONN:
		case err == syscall.EINPROGRESS, err == syscall.EALREADY:
			if w.await(s, vfs.EventsOut) {
				continue
			}
			there.connected.send(&w.worker, number, 0, call, false, true)
			return
		case err == syscall.ECONNREFUSED, err == syscall.ECONNRESET, err == syscall.ECONNABORTED:
			there.refused.Store(true)
			there.connected.send(&w.worker, number, 0, call, false, true)
			return
		default:
			if w.outcome(err); again(here, err) {
				continue
			}
			there.connected.send(&w.worker, number, 0, call, false, true)
			return
		}
		break
	}
	w.done.Add(1)
	f := &flow{}
	w.r.flows.Store(number, f)
	all := message(there, uint64(rand.IntN(3000)), number)
	for range binary.LittleEndian.Uint64(all[8:]) {
		all = append(all, flowByte(number, len(all)))
	}
	w.flows(here, s, f, all)
	sure := f.sure >= messageSize
	there.connected.send(&w.worker, number, 0, call, sure, !sure)
	_ = s.Shutdown(context.Background(), unix.SHUT_WR) // closing does it, too
}

// flows sends all, until that is in doubt.
func (w *netWorker) flows(here *place, s vfs.Socket, f *flow, all []byte) {
	defer func() { f.made = true }()
	for len(all) > 0 {
		p := all[:min(len(all), 1+rand.IntN(1500))]
		var n int
		err := w.do(func(ctx context.Context) (err error) { n, err = s.Send(ctx, &vfs.Packet{Data: p}); return err })
		switch {
		case err == nil:
			w.done.Add(1)
			f.sure += n
			all = all[n:]
		case err == syscall.EPIPE, err == syscall.ECONNRESET:
			w.r.resets.Add(1)
			return
		case err == syscall.EAGAIN:
			if !w.await(s, vfs.EventsOut) {
				return
			}
		default:
			happened, perhaps := w.outcome(err)
			if perhaps {
				f.doubt += len(p)
			}
			if perhaps || happened || !again(here, err) {
				return
			}
		}
	}
}

// accept takes a connection and reads it to its end; false if there is none.
func (w *netWorker) accept(p *place) bool {
	var s vfs.Socket
	call := w.now()
	err := w.do(func(ctx context.Context) (err error) { s, _, err = p.listener.Accept(ctx); return err })
	back := w.now()
	w.outcome(err)
	if err != nil {
		w.left(p, err)
		return false
	}
	defer s.Close()
	var got []byte
	ended := false
	for !ended {
		b := make([]byte, 1+rand.IntN(1000))
		var n int
		err := w.do(func(ctx context.Context) (err error) { n, err = s.Receive(ctx, &vfs.Packet{Data: b}); return err })
		switch {
		case err == nil:
			w.done.Add(1)
			got = append(got, b[:n]...)
			ended = n == 0
			continue
		case err == syscall.EAGAIN:
			if w.await(s, vfs.EventsIn|vfs.EventRdHup) {
				continue
			}
		case err == syscall.ECONNRESET:
			w.r.resets.Add(1)
		default:
			if w.outcome(err); again(p, err) {
				continue
			}
		}
		break
	}
	w.came(p, got, ended, call, back)
	return true
}

// came checks a connection's bytes.
func (w *netWorker) came(p *place, got []byte, ended bool, call, back int64) {
	if len(got) < messageSize {
		if !ended {
			p.lossy.Store(true) // nobody knows which it was
		}
		return
	}
	if binary.LittleEndian.Uint64(got) != p.id {
		return // for who had the address before
	}
	number := binary.LittleEndian.Uint64(got[16:])
	p.connected.take(&w.worker, number, call, back)
	for at := messageSize; at < len(got); at++ {
		if got[at] != flowByte(number, at) {
			w.Errorf("byte %d of connection %d is another", at, number)
			break
		}
	}
	if f, ok := w.r.flows.Load(number); ok {
		f := f.(*flow)
		f.got, f.ended = len(got), ended
	} else {
		w.Errorf("connection %d was never made", number)
	}
}

// ask makes a socket, asks about it, and closes it.
func (w *netWorker) ask(p *place) {
	s := w.socket(p, unix.SOCK_STREAM+rand.IntN(2))
	if s == nil {
		return
	}
	defer s.Close()
	for _, call := range []func(context.Context) error{
		func(ctx context.Context) error {
			return s.SetOption(ctx, unix.SOL_SOCKET, unix.SO_REUSEADDR, []byte{1, 0, 0, 0})
		},
		func(ctx context.Context) error { return s.Bind(ctx, make([]byte, unix.SizeofSockaddrInet4)) },
		func(ctx context.Context) error { _, err := p.listener.Addr(ctx, false); return err },
		func(ctx context.Context) error {
			_, err := s.Option(ctx, unix.SOL_SOCKET, unix.SO_TYPE, make([]byte, 4))
			return err
		},
	} {
		err := w.do(call)
		if err == syscall.EAFNOSUPPORT { // family 0
			err = nil
		}
		w.outcome(err)
	}
	p.datagrams.Poll(vfs.EventsIn)
}

// await waits until a socket is ready, or its server gone. A liar is not waited for
// long: it is false when that was given up.
func (w *netWorker) await(s vfs.Socket, events vfs.Events) bool {
	woken := make(chan struct{}, 1)
	wake := func(*vfs.Waiter, vfs.Events) {
		select {
		case woken <- struct{}{}:
		default:
		}
	}
	waiter := vfs.Waiter{Mask: events | vfs.EventErr | vfs.EventHup, Wake: wake}
	s.Watch(&waiter)
	defer s.Unwatch(&waiter)
	if w.r.lies {
		for range 2000 {
			if s.Poll(waiter.Mask) != 0 {
				return true
			}
			runtime.Gosched()
		}
		return false
	}
	if s.Poll(waiter.Mask) != 0 {
		return true
	}
	stuck := time.NewTimer(30 * time.Second)
	defer stuck.Stop()
	select {
	case <-woken:
		return true
	case <-stuck.C:
		w.Error(errors.New("nobody was told that a socket is ready"))
		return false
	}
}
