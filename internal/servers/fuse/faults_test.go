package fuse

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// TestFaults runs the fault harness over daemons.
func TestFaults(t *testing.T) {
	slow := func(percent int32) func(*faultSite) { return func(s *faultSite) { s.store.Faults.Slow.Store(percent) } }
	sites := map[string]func(t *testing.T) faulttest.Site{
		"fuse/process stopped": func(t *testing.T) faulttest.Site { return newProcessSite(t, false) },
		"fuse/process killed":  func(t *testing.T) faulttest.Site { return newProcessSite(t, true) },
	}
	for name, set := range map[string]func(*faultSite){
		"none": slow(0), "slow": slow(50),
		"deaf":         func(s *faultSite) { slow(50)(s); s.store.Faults.Deaf.Store(50) },
		"lying":        func(s *faultSite) { slow(10)(s); s.lie = s.nonsense },
		"twice":        func(s *faultSite) { slow(10)(s); s.lie = s.twice },
		"wrong ids":    func(s *faultSite) { slow(10)(s); s.lie = s.wrongIDs },
		"past the end": func(s *faultSite) { slow(10)(s); s.lie = s.pastTheEnd },
		"stopped":      func(s *faultSite) { slow(10)(s); s.trouble = (*daemonWay).pause },
		"dying":        func(s *faultSite) { slow(10)(s); s.trouble = (*daemonWay).die },
	} {
		sites["fuse/"+name] = func(t *testing.T) faulttest.Site {
			s := &faultSite{t: t, store: faulttest.NewStore(), ways: map[*daemonWay]struct{}{}}
			set(s)
			return s
		}
	}
	faulttest.Run(t, sites)
}

// faultSite has daemons in this process, one for each way.
type faultSite struct {
	daemonJudge
	t       *testing.T
	store   *faulttest.Store
	lie     func(q *question, right []byte)
	trouble func(*daemonWay)
	before  atomic.Uint64 // a request that was answered

	mu   sync.Mutex
	ways map[*daemonWay]struct{}
}

// daemonJudge is part of a site.
type daemonJudge struct{}

// Judge implements faulttest.Site. EIO is what has become of an answer that made
// no sense.
func (daemonJudge) Judge(err error) faulttest.Verdict {
	switch {
	case errors.Is(err, syscall.ENOTCONN):
		return faulttest.NotSent
	case err == syscall.EIO:
		return faulttest.Doubt
	}
	return faulttest.Unknown
}

// daemonWay is a mount.
type daemonWay struct {
	fs   *FS
	d    *daemon
	view *faulttest.View
	site *faultSite
}

func (s *faultSite) Dial() (faulttest.Way, error) {
	w := &daemonWay{view: s.store.View(), site: s}
	var err error
	if w.fs, w.d, err = attach(s.t, w.view, Options{}, func(d *daemon) { d.lie = s.lie }); err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.ways[w] = struct{}{}
	s.mu.Unlock()
	return w, nil
}

func (w *daemonWay) FS() vfs.FS { return w.fs }

func (w *daemonWay) Err() error {
	if w.fs.conn.lost.Load() {
		return syscall.ENOTCONN
	}
	return nil
}

// Close unmounts, and gives back what the daemon has when it has ended.
func (w *daemonWay) Close() error {
	w.fs.Unmount(false)
	<-w.d.ended
	w.d.working.Wait()
	w.d.s.Close()
	for _, f := range w.d.files {
		f.Close()
	}
	w.view.Close()
	w.site.mu.Lock()
	delete(w.site.ways, w)
	w.site.mu.Unlock()
	return nil
}

func (s *faultSite) Trouble(tick, stop <-chan struct{}) {
	for s.trouble != nil && faulttest.Ticks(50+rand.IntN(200), tick, stop) {
		s.mu.Lock()
		for w := range s.ways {
			s.trouble(w)
			break
		}
		s.mu.Unlock()
	}
}

func (s *faultSite) Census(t testing.TB) { s.store.Census(t) }

// pause has the daemon take and answer nothing for a while.
func (w *daemonWay) pause() {
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	for range rand.IntN(3000) {
		runtime.Gosched()
	}
}

// die ends the daemon's end of the channel, whatever it is doing: a mere Close would
// wait for the daemon's read.
func (w *daemonWay) die() {
	if raw, err := w.d.s.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { unix.Shutdown(int(fd), unix.SHUT_RDWR) })
	}
}

// send gives hati what the daemon says; it may be gone.
func (q *question) send(msg []byte) { _, _ = q.d.s.Write(msg) }

// rarely is when a liar lies.
func rarely() bool { return rand.IntN(100) == 0 }

// twice answers twice, or more often.
func (s *faultSite) twice(q *question, right []byte) {
	q.send(right)
	for rand.IntN(3) == 0 {
		q.send(right)
	}
}

// wrongIDs answers what was not asked, or was answered, before it answers.
func (s *faultSite) wrongIDs(q *question, right []byte) {
	if rand.IntN(4) > 0 {
		q.send(right)
		s.before.Store(q.unique)
		return
	}
	wrong := bytes.Clone(right)
	id := q.unique
	switch rand.IntN(5) {
	case 0:
		id += 1 << 40
	case 1:
		id ^= 1 << 63
	case 2:
		id = s.before.Load() // nobody waits for that one
	case 3:
		id |= 1 // of an interrupt that there was not
		wrong = wrong[:outHeaderSize]
		le.PutUint32(wrong, outHeaderSize)
		le.PutUint32(wrong[4:], 0)
	case 4:
		id = 0 // what the daemon says by itself, but says nothing
		if !rarely() {
			id = 1 << 62
		}
	}
	le.PutUint64(wrong[8:], id)
	q.send(wrong)
	q.send(right)
}

// pastTheEnd says now and then more than was asked for, or that it says more.
func (s *faultSite) pastTheEnd(q *question, right []byte) {
	if !rarely() {
		q.send(right)
		return
	}
	wrong := append(bytes.Clone(right), make([]byte, 1+rand.IntN(8000))...)
	if q.op != opRead && rand.IntN(2) == 0 {
		wrong = bytes.Clone(right)
	}
	le.PutUint32(wrong, uint32(len(right)+1+rand.IntN(1<<20)))
	if len(wrong) > len(right) {
		le.PutUint32(wrong, uint32(len(wrong)))
	}
	q.send(wrong)
}

// nonsense is what an answer cannot be: cut short, of unknown errors, with an
// error and more.
func (s *faultSite) nonsense(q *question, right []byte) {
	if !rarely() {
		q.send(right)
		return
	}
	wrong := bytes.Clone(right)
	switch rand.IntN(4) {
	case 0:
		if q.op != opRead { // less than was asked for is right
			wrong = wrong[:outHeaderSize+(len(wrong)-outHeaderSize)/2]
			le.PutUint32(wrong, uint32(len(wrong)))
		}
	case 1:
		le.PutUint32(wrong[4:], uint32(1+rand.IntN(1<<30)))
	case 2:
		bad := -int32(600 + rand.IntN(1000))
		le.PutUint32(wrong[4:], uint32(bad))
	case 3:
		bad := -int32(syscall.EIO)
		wrong = append(wrong, 1, 2, 3, 4)
		le.PutUint32(wrong, uint32(len(wrong)))
		le.PutUint32(wrong[4:], uint32(bad))
	}
	q.send(wrong)
}
