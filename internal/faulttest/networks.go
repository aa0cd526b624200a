package faulttest

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// NetWay is a way to a network, with sockets of the host's loopback.
type NetWay interface {
	Way
	Network() vfs.Network
}

// Liar is a site whose server may keep to the protocol and lie, so that what it
// promises may never come.
type Liar interface{ Lies() bool }

// Opens is a site that knows how many sockets its server has open.
type Opens interface{ Open() int }

// RunNetworks is [Run] for sites whose ways are NetWays. Each way that lives has a
// place: a socket to which clients send datagrams and one to which they connect, from
// any way, while others receive and accept there.
func RunNetworks(t *testing.T, open map[string]func(t *testing.T) Site) {
	run(t, open, 2, (*harness).netRound)
}

// most is how many datagrams or connections may wait at a place: less than the host
// has room for.
const most = 150

// place is where a way is found by others.
type place struct {
	id                   uint64
	way                  NetWay
	datagrams, listener  vfs.Socket
	datagramAt, listenAt []byte
	sent, connected      items

	lossy   atomic.Bool // an answer was spoilt: something may be lost
	refused atomic.Bool // it was not to be found
}

// lives is true when what happened at the place must be whole.
func (p *place) lives() bool { return p.way.Err() == nil && !p.lossy.Load() }

func newPlace(way NetWay) (p *place, err error) {
	p = &place{id: lastValue.Add(1), way: way}
	if p.datagrams, p.datagramAt, err = bound(way, unix.SOCK_DGRAM); err != nil {
		return nil, err
	}
	if p.listener, p.listenAt, err = bound(way, unix.SOCK_STREAM); err == nil {
		err = p.listener.Listen(context.Background(), 4096)
	}
	return p, err
}

// bound makes a socket with an address; that of a liar may be any, which nobody finds.
func bound(way NetWay, typ int) (s vfs.Socket, addr []byte, err error) {
	bg := context.Background()
	if s, err = way.Network().Socket(bg, unix.AF_INET, typ, 0); err != nil {
		return nil, nil, err
	}
	a := make([]byte, unix.SizeofSockaddrInet4)
	binary.NativeEndian.PutUint16(a, unix.AF_INET)
	copy(a[4:], []byte{127, 0, 0, 1})
	if err = s.Bind(bg, a); err == nil {
		addr, err = s.Addr(bg, false)
	}
	if err == nil && (len(addr) != len(a) || [6]byte(addr[2:8]) == [6]byte{} || [4]byte(addr[4:8]) != [4]byte{127, 0, 0, 1}) {
		err = way.Err()
		copy(a[2:], []byte{0, 9})
		addr = a
	}
	return s, addr, err
}

// netShared is a way that clients share, and its place.
type netShared struct {
	mu sync.Mutex
	at *place
}

// netRound is a round's state.
type netRound struct {
	*harness
	lies   bool
	ways   [Ways]netShared
	mu     sync.Mutex
	places []*place
	flows  sync.Map // connection: *flow
	resets atomic.Int64
	spoilt atomic.Bool // a liar's answer may have left a socket at the server
}

func (r *netRound) get(i int) *place {
	s := &r.ways[i]
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.at == nil || s.at.way.Err() != nil {
		s.closeLocked()
		w, err := r.site.Dial()
		if err != nil {
			return nil
		}
		r.dials.Add(1)
		p, err := newPlace(w.(NetWay))
		if err != nil {
			r.outcome(err)
			w.Close()
			return nil
		}
		s.at = p
		r.mu.Lock()
		r.places = append(r.places, p)
		r.mu.Unlock()
	}
	return s.at
}

func (s *netShared) closeLocked() {
	if s.at != nil {
		s.at.datagrams.Close()
		s.at.listener.Close()
		s.at.way.Close()
		s.at = nil
	}
}

// netRound has all clients work, and checks what they saw.
func (h *harness) netRound(int) {
	h.Helper()
	r := &netRound{harness: h}
	if l, ok := h.site.(Liar); ok {
		r.lies = l.Lies()
	}
	stop := make(chan struct{})
	var trouble, work sync.WaitGroup
	tick := make(chan struct{}, 1)
	trouble.Go(func() { h.site.Trouble(tick, stop) })
	begin := time.Now()
	for i := range Clients {
		work.Go(func() {
			w := &netWorker{worker: worker{harness: h, id: i, begin: begin}, r: r}
			for range h.steps {
				here, there := r.get(rand.IntN(Ways)), r.get(rand.IntN(Ways))
				if here == nil || there == nil {
					continue // the server is being started again
				}
				select {
				case tick <- struct{}{}:
				default:
				}
				w.step(here, there)
			}
		})
	}
	work.Wait()
	close(stop)
	trouble.Wait()
	last := &netWorker{worker: worker{harness: h, id: Clients, begin: begin}, r: r}
	r.drain(last)
	r.settle(last)
	r.check()
	for i := range r.ways {
		r.ways[i].closeLocked()
	}
}

// drain takes all that is left where ways live.
func (r *netRound) drain(w *netWorker) {
	r.Helper()
	w.patient = true
	for _, p := range r.places {
		for _, q := range []struct {
			what string
			of   *items
			sock vfs.Socket
			take func(*place) bool
		}{{"datagrams", &p.sent, p.datagrams, w.receive}, {"connections", &p.connected, p.listener, w.accept}} {
			for end := time.Now().Add(time.Minute); p.lives(); {
				if q.take(p) {
					continue
				}
				if !p.lives() || q.of.whole() {
					break
				}
				if time.Now().After(end) {
					r.Errorf("%s are lost: %v", q.what, q.of.missing())
					break
				}
				// What was sent may still be on its way in the host.
				if !r.lies {
					w.await(q.sock, vfs.EventsIn)
				}
				runtime.Gosched()
			}
		}
	}
}

// check checks histories, streams, and what the server has.
func (r *netRound) check() {
	r.Helper()
	ended := false
	for _, p := range r.places {
		lives := p.lives()
		if lives && p.refused.Load() && !r.lies {
			r.Error("one who listens was not found")
		}
		ended = ended || p.way.Err() != nil
		p.sent.check(r, "datagrams", lives)
		p.connected.check(r, "connections", lives)
	}
	r.flows.Range(func(number, f any) bool {
		f.(*flow).check(r, number.(uint64))
		return true
	})
	if n := r.resets.Load(); n > 0 && !ended && !r.lies {
		r.Errorf("%d connections were reset", n)
	}
}

// settle waits until the server has the sockets that clients have. A connection of which
// nobody knows whether it was made may come late, from a caller who has left.
func (r *netRound) settle(w *netWorker) {
	r.Helper()
	o, ok := r.site.(Opens)
	if !ok {
		return
	}
	Eventually(r, "the server has the sockets that clients have", func() bool {
		live := 0
		for i := range r.ways {
			p := r.ways[i].at
			for p != nil && p.way.Err() == nil && w.accept(p) {
			}
			if p != nil && p.way.Err() == nil {
				live++
			}
		}
		return r.spoilt.Load() || o.Open() == 2*live
	})
}
