package remote_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/lane"
	"golang.org/x/sys/unix"
)

// middle stands between clients and a server: it passes on what goes through
// their socket, has their memory, too, and so can answer in the server's place.
// What it knows of the memory is in docs/lane-protocol.md.
type middle struct {
	ln     *net.UnixListener
	server string // where the real one listens
	wg     sync.WaitGroup

	mu    sync.Mutex
	lanes map[*between]struct{}
}

// between is one connection. mem is nil when it has ended.
type between struct {
	client, server *net.UnixConn
	repeat         atomic.Bool // now and then, a message with descriptors is sent twice
	mu             sync.Mutex
	mem            []byte
	slots          int
}

// Offsets of what the server writes in the half in which it answers, the first
// after the header.
const (
	midHeader  = 4096
	midSlots   = 12   // in the header: how many
	midDones   = 2048 // a bit for each slot that has its answer
	midRing    = 4096 // eight bytes for each slot, then the slots
	midSlot    = 128
	midState   = 0
	midLengths = 72

	midClaimed, midDone = 2, 3
)

func newMiddle(path, server string) (*middle, error) {
	ln, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: path, Net: "unixpacket"})
	if err != nil {
		return nil, err
	}
	m := &middle{ln: ln, server: server, lanes: map[*between]struct{}{}}
	m.wg.Go(func() {
		for {
			c, err := ln.AcceptUnix()
			if err != nil {
				return
			}
			m.wg.Go(func() { m.pass(c) })
		}
	})
	return m, nil
}

// close ends all that goes through.
func (m *middle) close() {
	m.ln.Close()
	m.mu.Lock()
	for b := range m.lanes {
		b.client.Close()
		b.server.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

// pass connects a client to the server.
func (m *middle) pass(client *net.UnixConn) {
	defer client.Close()
	server, err := net.DialUnix("unixpacket", nil, &net.UnixAddr{Name: m.server, Net: "unixpacket"})
	if err != nil {
		return
	}
	defer server.Close()
	b := &between{client: client, server: server}
	if !b.hand(client, server, b.take) {
		return
	}
	m.mu.Lock()
	m.lanes[b] = struct{}{}
	m.mu.Unlock()
	var wg sync.WaitGroup
	for _, way := range [][2]*net.UnixConn{{client, server}, {server, client}} {
		wg.Go(func() {
			for b.hand(way[0], way[1], nil) {
			}
			way[0].Close()
			way[1].Close()
		})
	}
	wg.Wait()
	m.mu.Lock()
	delete(m.lanes, b)
	m.mu.Unlock()
	b.mu.Lock()
	unix.Munmap(b.mem)
	b.mem = nil
	b.mu.Unlock()
}

// take maps the memory in a greeting.
func (b *between) take(fds []int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fds[0], &st); err != nil {
		return err
	}
	mem, err := unix.Mmap(fds[0], 0, int(st.Size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err == nil {
		b.mem, b.slots = mem, int(midWord(mem, midSlots-4).Load()>>32)
	}
	return err
}

// hand passes one message on, with its descriptors, which look may see.
func (b *between) hand(from, to *net.UnixConn, look func(fds []int) error) bool {
	p, oob := make([]byte, 4096), make([]byte, 1024)
	n, oobn, _, _, err := from.ReadMsgUnix(p, oob)
	if err == io.EOF || err != nil {
		return false
	}
	var fds []int
	if list, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
		for _, m := range list {
			if got, err := unix.ParseUnixRights(&m); err == nil {
				fds = append(fds, got...)
			}
		}
	}
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	if look != nil && (len(fds) == 0 || look(fds) != nil) {
		return false
	}
	var rights []byte
	if len(fds) > 0 {
		rights = unix.UnixRights(fds...)
		if b.repeat.Load() && rand.IntN(50) == 0 {
			to.WriteMsgUnix(p[:n], rights, nil)
		}
	}
	_, _, err = to.WriteMsgUnix(p[:n], rights, nil)
	return err == nil
}

// any calls f for one of the connections.
func (m *middle) any(f func(b *between)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for b := range m.lanes {
		b.mu.Lock()
		if b.mem != nil {
			f(b)
		}
		b.mu.Unlock()
		return
	}
}

func (b *between) word(slot, field int) *atomic.Uint64 {
	return midWord(b.mem, midHeader+midRing+b.slots*8+slot*midSlot+field)
}

// done marks a slot as answered, and rings the client's bell.
func (b *between) done(slot int) {
	midWord(b.mem, midHeader+midDones+slot/64*8).Or(1 << (slot % 64))
	b.client.Write([]byte{1}) // a bell
}

// find calls f for a slot in a state; it looks a while for one.
func (b *between) find(state uint64, f func(slot int, word *atomic.Uint64, old uint64)) {
	for range 1000 {
		for slot := range 32 {
			w := b.word(slot, midState)
			if old := w.Load(); old&0xff == state {
				f(slot, w, old)
				return
			}
		}
	}
}

// What a middle can do to a connection.
var misdeeds = map[string]func(b *between){
	// Answers that came before, or that there are none of, come again.
	"twice": func(b *between) {
		b.repeat.Store(true)
		for range 3 {
			b.done(rand.IntN(32))
		}
	},
	// An answer to another request than the one in its place.
	"wrong ids": func(b *between) {
		b.find(midClaimed, func(slot int, w *atomic.Uint64, old uint64) {
			gen := old >> 8
			other := gen + 1 + uint64(rand.IntN(9))
			if rand.IntN(2) == 0 && gen > 1 {
				other = gen - 1
			}
			if w.CompareAndSwap(old, other<<8|uint64(rand.IntN(10))) {
				b.done(slot)
			}
		})
	},
	// An answer that says that it is longer than its room.
	"past the end": func(b *between) {
		b.find(midDone, func(slot int, _ *atomic.Uint64, _ uint64) {
			b.word(slot, midLengths).Store(1<<20 | uint64(rand.Uint32())<<32)
		})
	},
}

// throughMiddle is a site whose server is in this process, behind a middle.
type throughMiddle struct {
	m       *middle
	path    string
	misdeed func(*between)
}

func newThroughMiddle(t *testing.T, misdeed func(*between), listen func(path string) (*lane.Listener, error), serve func(*lane.Lane)) throughMiddle {
	dir := t.TempDir()
	s := throughMiddle{path: dir + "/m", misdeed: misdeed}
	l, err := listen(dir + "/s")
	if err != nil {
		t.Fatal(err)
	}
	if s.m, err = newMiddle(s.path, dir+"/s"); err != nil {
		t.Fatal(err)
	}
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			end, err := l.Accept(ctx)
			if err != nil {
				return
			}
			serve(end)
		}
	})
	t.Cleanup(func() {
		s.m.close()
		l.Close()
		accepting.Wait()
	})
	return s
}

func (s *throughMiddle) trouble(tick, stop <-chan struct{}) {
	for faulttest.Ticks(20+rand.IntN(60), tick, stop) {
		s.m.any(s.misdeed)
	}
}
