package remote_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/remote/internal/wire"
)

// faults are those that a server has in this process.
var faults = map[string]func(*faulttest.Faults){
	"none": func(f *faulttest.Faults) {}, "slow": func(f *faulttest.Faults) { f.Slow.Store(50) },
	"deaf":  func(f *faulttest.Faults) { f.Slow.Store(50); f.Deaf.Store(50) },
	"lying": func(f *faulttest.Faults) { f.Lie.Store(1); f.Slow.Store(10) },
}

// TestFaults runs rounds of every fault over every transport.
func TestFaults(t *testing.T) {
	sites := map[string]func(t *testing.T) faulttest.Site{}
	for name, set := range faults {
		for _, shared := range []bool{false, true} {
			way := map[bool]string{false: "lane", true: "ring"}[shared]
			sites[way+"/"+name] = func(*testing.T) faulttest.Site {
				s := newInsideSite(shared)
				set(&s.store.Faults)
				return s
			}
		}
	}
	for name, misdeed := range misdeeds {
		sites["ring/"+name] = func(t *testing.T) faulttest.Site { return newMiddleSite(t, misdeed) }
	}
	sites["process/stopped"] = func(t *testing.T) faulttest.Site { return newOutsideSite(t, false) }
	sites["process/killed"] = func(t *testing.T) faulttest.Site { return newOutsideSite(t, true) }
	faulttest.Run(t, sites)
}

// judge implements part of faulttest.Site.
type judge struct{}

func (judge) Judge(err error) faulttest.Verdict {
	switch {
	case errors.Is(err, remote.ErrGone):
		return faulttest.NotSent
	case errors.Is(err, syscall.EMSGSIZE): // a liar's answer that did not fit: it has happened
		return faulttest.Doubt
	}
	return faulttest.Unknown
}

// way is a client as the harness has it.
type way struct{ *remote.Client }

func (w way) FS() vfs.FS { return w.Client.FS() }

// insideSite is a server in this process.
type insideSite struct {
	judge
	store  *faulttest.Store
	files  *faulttest.View // one for all: what a lane locks goes with it
	shared bool
	served sync.WaitGroup
}

func newInsideSite(shared bool) *insideSite {
	s := &insideSite{store: faulttest.NewStore(), shared: shared}
	s.files = s.store.View()
	return s
}

func (s *insideSite) Dial() (faulttest.Way, error) {
	a, b := lane.Pair(remote.Config("faults"))
	if s.shared {
		var err error
		if a, b, err = lane.PairShared(remote.Config("faults")); err != nil {
			return nil, err
		}
	}
	s.serve(b)
	c, err := remote.New(ctx, a)
	return way{c}, err
}

func (s *insideSite) serve(end *lane.Lane) {
	s.served.Add(1)
	_, done := remote.ServeThrough(end, s.files, s.lying)
	go func() {
		<-done
		s.served.Done()
	}()
}

func (s *insideSite) Trouble(_, _ <-chan struct{}) {}

func (s *insideSite) Census(t testing.TB) {
	s.served.Wait()
	s.store.Census(t)
}

// lying makes an honest handler's answers nonsense now and then: another length,
// another identity, more bytes than there are, too much or nothing.
func (s *insideSite) lying(honest lane.Handler) lane.Handler {
	return lying(honest, &s.store.Faults, wire.OpRoot)
}

// lying lies about all but one operation.
func lying(honest lane.Handler, f *faulttest.Faults, except uint32) lane.Handler {
	return func(ctx context.Context, q *lane.Request) error {
		err := honest(ctx, q)
		if err != nil || q.IsNote || q.Op == except || !faulttest.Percent(&f.Lie) {
			return err
		}
		switch rand.IntN(5) {
		case 0:
			q.Reply.Data = q.Reply.Data[:len(q.Reply.Data)/2]
		case 1:
			q.Reply.Data = append(q.Reply.Data, 1, 2, 3)
		case 2:
			for i := range q.Reply.Data {
				q.Reply.Data[i] = byte(rand.Uint32())
			}
		case 3:
			q.Reply.Bulk = make([]byte, q.MaxBulk()+10)
		case 4:
			q.Reply.Data = nil
		}
		return nil
	}
}

// middleSite is a server in this process behind a middle, which does its misdeed
// now and then.
type middleSite struct {
	*insideSite
	throughMiddle
}

func newMiddleSite(t *testing.T, misdeed func(*between)) *middleSite {
	s := &middleSite{insideSite: newInsideSite(true)}
	s.store.Faults.Slow.Store(10) // else nothing is under way when the misdeed comes
	listen := func(path string) (*lane.Listener, error) { return remote.Listen(path, 0o600, lane.Config{}) }
	s.throughMiddle = newThroughMiddle(t, misdeed, listen, s.serve)
	return s
}

func (s *middleSite) Dial() (faulttest.Way, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := remote.Dial(ctx, s.path)
	return way{c}, err
}

func (s *middleSite) Trouble(tick, stop <-chan struct{}) { s.trouble(tick, stop) }
