package lane

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A hostile end is played by one that nobody serves at: the test writes to the
// shared memory and the socket in its place.
type hostile struct {
	*testing.T
	good *Lane // under test
	evil *ring // the other end
	free func()
}

func newHostile(t *testing.T) *hostile {
	t.Helper()
	a, b, err := PairShared(Config{Slots: 64, Arena: 1 << 20, Grace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	if err := b.bind(); err != nil {
		t.Fatal(err)
	}
	h := &hostile{t, a, b.ring.Load(), nil}
	h.evil.enter() // its memory stays after the lane has ended
	h.free = sync.OnceFunc(h.evil.leave)
	t.Cleanup(h.free)
	return h
}

// asServer is the memory of the half in which the hostile end answers.
func (h *hostile) asServer(i, field int) *atomic.Uint64 {
	return word(h.evil.in.m, h.evil.in.field(i, field))
}

// asClient is the memory of the half in which the hostile end asks.
func (h *hostile) asClient(off int) *atomic.Uint64 { return word(h.evil.out.m, off) }

func (h *hostile) slotOff(i, field int) int { return h.evil.lay.slot + i*slotSize + field }

// ring rings the good end's bell, as often as it takes to be heard.
func (h *hostile) ring() { h.evil.bell() }

// posted returns once the good end has posted its request.
func (h *hostile) posted(i int) {
	for wordLow(word(h.evil.in.m, h.evil.in.field(i, slotState)).Load()) != slotPosted {
		runtime.Gosched()
	}
}

// Every way in which a reply can be wrong ends the call, in doubt, and at most
// its own lane.
func TestHostileServer(t *testing.T) {
	const gen = 1 // the first request's, in slot 0
	done := func(h *hostile) { h.asServer(0, slotState).Store(slotWord(gen, slotDone)) }
	for name, evil := range map[string]func(h *hostile){
		"data past the end":  func(h *hostile) { h.asServer(0, slotRepLens).Store(pack(InlineData+1, 0)); done(h) },
		"bulk past the end":  func(h *hostile) { h.asServer(0, slotRepLens).Store(pack(0, 101)); done(h) },
		"huge lengths":       func(h *hostile) { h.asServer(0, slotRepLens).Store(^uint64(0)); done(h) },
		"objects not sent":   func(h *hostile) { h.asServer(0, slotRepObjs).Store(3); done(h) },
		"too many objects":   func(h *hostile) { h.asServer(0, slotRepObjs).Store(1 << 30); done(h) },
		"unknown status":     func(h *hostile) { h.asServer(0, slotStatus).Store(99); done(h) },
		"no status":          func(h *hostile) { done(h) },
		"state free":         func(h *hostile) { h.asServer(0, slotState).Store(slotWord(gen, slotFree)) },
		"state unknown":      func(h *hostile) { h.asServer(0, slotState).Store(slotWord(gen, 77)) },
		"settled unasked":    func(h *hostile) { h.asServer(0, slotState).Store(slotWord(gen, slotSettled)) },
		"another generation": func(h *hostile) { h.asServer(0, slotState).Store(slotWord(gen+7, slotDone)) },
		"moved offsets": func(h *hostile) {
			for f := slotReq; f <= slotRepBulk; f += 8 {
				h.asServer(0, f).Store(^uint64(0))
			}
			h.asServer(0, slotState).Store(slotWord(gen, 78))
		},
		"hang up": func(h *hostile) { unix.Shutdown(h.evil.sock, unix.SHUT_RDWR) },
		"empty message": func(h *hostile) {
			send(h.evil.sock, nil)
		},
		"unknown message": func(h *hostile) {
			send(h.evil.sock, []byte{99, 1, 2, 3})
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			result := make(chan error, 1)
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			go func() {
				result <- h.good.Call(ctx, &Message{Op: 1, Data: []byte("x")}, &Message{Bulk: make([]byte, 100)})
			}()
			h.posted(0)
			slotClaim(word(h.evil.in.m, h.evil.in.field(0, slotState)), gen)
			evil(h)
			setBit(h.evil.in.m, ctlDones, 0)
			futexWake(h.evil.in.m, h.evil.in.field(0, slotState))
			h.ring()
			if err := <-result; OutcomeOf(err) != InDoubt || errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v (%v)", err, OutcomeOf(err))
			}
		})
	}
}

func send(sock int, p []byte) { unix.SendmsgN(sock, p, nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) }

// A server that answers twice, or late, reaches no later call.
func TestHostileServerAnswersTwice(t *testing.T) {
	h := newHostile(t)
	for i := range 100 {
		gen := uint64(i + 1)
		result := make(chan error, 1)
		var rep Message
		go func() { result <- h.good.Call(context.Background(), &Message{Op: 1}, &rep) }()
		h.posted(0)
		state := word(h.evil.in.m, h.evil.in.field(0, slotState))
		slotClaim(state, gen)
		if gen > 1 && slotComplete(state, gen-1) {
			t.Fatal("a late answer was taken for this one")
		}
		h.asServer(0, slotStatus).Store(pack(statusDone, 0))
		h.asServer(0, slotRepLens).Store(0)
		slotComplete(state, gen)
		setBit(h.evil.in.m, ctlDones, 0)
		setBit(h.evil.in.m, ctlDones, 17)
		futexWake(h.evil.in.m, h.evil.in.field(0, slotState))
		h.ring()
		if err := <-result; err != nil {
			t.Fatal(err)
		}
		setBit(h.evil.in.m, ctlDones, 0) // once more
		h.ring()
	}
}

// Every way in which a request can be wrong ends its lane and nothing else.
func TestHostileClient(t *testing.T) {
	post := func(h *hostile, entry, tail uint64) {
		h.asClient(h.evil.lay.ring).Store(entry)
		h.asClient(ctlTail).Store(tail)
	}
	valid := func(h *hostile) {
		h.asClient(h.slotOff(0, slotState)).Store(slotWord(5, slotPosted))
		post(h, ringEntry(0, 5), 1)
	}
	for name, evil := range map[string]func(h *hostile){
		"tail far ahead":        func(h *hostile) { post(h, 0, 1<<40) },
		"tail behind":           func(h *hostile) { post(h, 0, ^uint64(0)) },
		"slot past the end":     func(h *hostile) { post(h, ringEntry(64, 1), 1) },
		"slot far past the end": func(h *hostile) { post(h, 0xffff, 1) },
		"slot not posted":       func(h *hostile) { post(h, ringEntry(3, 1), 1) },
		"generation wrong": func(h *hostile) {
			h.asClient(h.slotOff(0, slotState)).Store(slotWord(6, slotPosted))
			post(h, ringEntry(0, 5), 1)
		},
		"data past the end": func(h *hostile) {
			h.asClient(h.slotOff(0, slotReq)).Store(pack(uint32(h.evil.lay.dataLen)-1, 2))
			valid(h)
		},
		"offset wraps": func(h *hostile) { h.asClient(h.slotOff(0, slotReqBulk)).Store(pack(^uint32(0), ^uint32(0))); valid(h) },
		"reply room past end": func(h *hostile) {
			h.asClient(h.slotOff(0, slotRepBulk)).Store(pack(0, uint32(h.evil.lay.dataLen)+1))
			valid(h)
		},
		"unknown flags":        func(h *hostile) { h.asClient(h.slotOff(0, slotOp)).Store(pack(1, 0x8000)); valid(h) },
		"too many objects":     func(h *hostile) { h.asClient(h.slotOff(0, slotOp)).Store(pack(1, 0xffff<<16)); valid(h) },
		"objects not sent":     func(h *hostile) { h.asClient(h.slotOff(0, slotOp)).Store(pack(1, 2<<16)); valid(h) },
		"deadline before time": func(h *hostile) { h.asClient(h.slotOff(0, slotTime)).Store(1 << 63); valid(h) },
		"the same slot twice": func(h *hostile) {
			h.asClient(h.slotOff(0, slotOp)).Store(pack(opHang, 0))
			h.asClient(h.evil.lay.ring + 8).Store(ringEntry(0, 5))
			h.asClient(h.slotOff(0, slotState)).Store(slotWord(5, slotPosted))
			h.asClient(h.evil.lay.ring).Store(ringEntry(0, 5))
			h.asClient(ctlTail).Store(2)
		},
		"more bytes at a time than there are": func(h *hostile) {
			for i := range 64 {
				h.asClient(h.slotOff(i, slotReqBulk)).Store(pack(0, uint32(h.evil.lay.dataLen)))
				h.asClient(h.slotOff(i, slotOp)).Store(pack(opHang, 0))
				h.asClient(h.slotOff(i, slotState)).Store(slotWord(1, slotPosted))
				h.asClient(h.evil.lay.ring + 8*i).Store(ringEntry(i, 1))
			}
			h.asClient(ctlTail).Store(64)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHostile(t)
			other, server, err := PairShared(Config{})
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			server.Handle(hangOrNot, ServeOptions{})
			if err := h.good.Handle(hangOrNot, ServeOptions{}); err != nil {
				t.Fatal(err)
			}
			evil(h)
			h.ring()
			select {
			case <-h.good.Done():
			case <-time.After(10 * time.Second):
				t.Fatal("the lane goes on")
			}
			if err := h.good.Err(); err != ErrProtocol {
				t.Error(err)
			}
			if err := other.Call(context.Background(), &Message{}, nil); err != nil {
				t.Errorf("another lane: %v", err)
			}
		})
	}
}

const opHang = 1

func hangOrNot(ctx context.Context, r *Request) error {
	if r.Op == opHang {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	room := r.Room(len(r.Bulk))
	r.Reply.Bulk = room[:copy(room, r.Bulk)]
	return nil
}

// Descriptors for messages that never come are bounded, and closed with the lane.
func TestHostileDescriptors(t *testing.T) {
	before := fdCount()
	h := newHostile(t)
	null, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(null)
	p := make([]byte, objectsHeader+4)
	p[0], p[4] = msgObjects, 1
	copy(p[objectsHeader:], []byte{kindFile, 15, 1, 0})
	for gen := uint64(1); ; gen++ {
		binary.LittleEndian.PutUint64(p[8:], gen)
		_, err := unix.SendmsgN(h.evil.sock, p, unix.UnixRights(null), nil, unix.MSG_NOSIGNAL)
		if err != nil {
			break // the good end has hung up
		}
		if gen > 10000 {
			t.Fatal("takes descriptors without end")
		}
	}
	<-h.good.Done()
	if err := h.good.Err(); err != ErrProtocol {
		t.Error(err)
	}
	h.evil.fail(ErrClosed)
	h.free()
	unix.Close(null)
	waitFor(t, func() bool { return fdCount() <= before })
}

func fdCount() int {
	list, _ := os.ReadDir("/proc/self/fd")
	return len(list)
}

// waitFor waits for something of which nothing tells.
func waitFor(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); {
		if time.Now().After(end) {
			t.Fatal("does not come")
		}
		runtime.Gosched()
	}
}

// Memory that could fault or block when touched is refused.
func TestHostileMemory(t *testing.T) {
	tmp, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	tmp.Truncate(pageSize)
	unsealed, err := unix.MemfdCreate("x", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	unix.Ftruncate(unsealed, pageSize)
	empty, err := newMemfd("x", 0)
	if err != nil {
		t.Fatal(err)
	}
	for name, fd := range map[string]int{"a file": int(tmp.Fd()), "not sealed": unsealed, "empty": empty} {
		dup := func() int {
			n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
		if _, err := importMemory(dup(), AllRights); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s as memory: %v", name, err)
		}
		if _, err := importEvent(dup(), AllRights); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s as an event: %v", name, err)
		}
		sv, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(sv[1])
		if _, err := importLane(sv[0], dup()); err == nil {
			t.Errorf("%s as a lane's memory was taken", name)
		}
	}
}

// mutate flips bytes of a lane's shared memory by the script in data while calls
// run over it in both directions.
func mutate(t testing.TB, data []byte) {
	a, b, err := PairShared(Config{Slots: 64, Arena: 1 << 18, Grace: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	defer a.Close()
	a.Handle(hangOrNot, ServeOptions{})
	b.Handle(hangOrNot, ServeOptions{})
	ctx, cancel := context.WithCancelCause(context.Background())
	var wg sync.WaitGroup
	for g := range 4 {
		l := []*Lane{a, b}[g%2]
		wg.Go(func() {
			rep := Message{}
			buf := make([]byte, 5000)
			for n := 0; ctx.Err() == nil && l.Err() == nil; n++ {
				one, stop := context.WithTimeoutCause(ctx, 20*time.Millisecond, ErrKilled)
				rep.Bulk = buf[:(n*977)%5000]
				l.Call(one, &Message{Bulk: rep.Bulk}, &rep)
				closeObjects(rep.Objects)
				stop()
			}
		})
	}
	r := a.ring.Load()
	if r.enter() {
		// The first pages hold the header, the control words, rings and slots.
		areas := []int{0, r.lay.half[0], r.lay.half[0] + r.lay.ring, r.lay.half[0] + r.lay.slot,
			r.lay.half[1], r.lay.half[1] + r.lay.ring, r.lay.half[1] + r.lay.slot}
		for ; len(data) >= 4; data = data[4:] {
			off := areas[int(data[0])%len(areas)] + int(binary.LittleEndian.Uint16(data[1:]))%4096
			switch data[0] >> 6 {
			case 0:
				r.shm[off] = data[3]
			case 1:
				r.shm[off] ^= 1 << (data[3] & 7)
			case 2:
				word(r.shm, off&^7).Store(uint64(data[3]) * 0x0101010101010101)
			default:
				word(r.shm, off&^7).Add(uint64(data[3]))
			}
			r.bell()
			if b := b.ring.Load(); b != nil && b.enter() {
				b.bell()
				b.leave()
			}
		}
		r.leave()
	}
	cancel(ErrKilled)
	wg.Wait()
}

func FuzzChangingMemory(f *testing.F) {
	f.Add([]byte{0, 0, 0, 1})
	f.Add([]byte{0x83, 0, 0, 0xff, 0xc4, 8, 0, 1, 0x46, 0, 0, 3})
	f.Fuzz(func(t *testing.T, data []byte) { mutate(t, data[:min(len(data), 4096)]) })
}

// The same by chance, so that the ordinary tests do some of it.
func TestChangingMemory(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 10
	}
	for seed := range rounds {
		rnd := rand.New(rand.NewSource(int64(seed)))
		data := make([]byte, 4*(1+rnd.Intn(60)))
		rnd.Read(data)
		mutate(t, data)
	}
}
