package remote_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
)

// TestNetworkFaults runs rounds of every fault over every transport to networks. Every
// other way is lent its streams.
func TestNetworkFaults(t *testing.T) {
	sites := map[string]func(t *testing.T) faulttest.Site{}
	for name, set := range faults {
		for _, shared := range []bool{false, true} {
			way := map[bool]string{false: "lane", true: "ring"}[shared]
			sites[way+"/"+name] = func(*testing.T) faulttest.Site {
				s := newInsideNet(shared)
				set(&s.net.Faults)
				s.lies = name == "lying"
				return s
			}
		}
	}
	for name, misdeed := range misdeeds {
		sites["ring/"+name] = func(t *testing.T) faulttest.Site { return newMiddleNet(t, misdeed) }
	}
	sites["process/stopped"] = func(t *testing.T) faulttest.Site { return newOutsideNet(t, false) }
	sites["process/killed"] = func(t *testing.T) faulttest.Site { return newOutsideNet(t, true) }
	faulttest.RunNetworks(t, sites)
}

// netWay is a client as the harness has it.
type netWay struct{ *remote.NetworkClient }

func (w netWay) Network() vfs.Network { return w.NetworkClient }

// insideNet is a network in this process.
type insideNet struct {
	judge
	net    faulttest.Net
	shared bool
	lies   bool
	served sync.WaitGroup
	lanes  atomic.Int64
}

func newInsideNet(shared bool) *insideNet {
	return &insideNet{net: faulttest.Net{Network: inet.Host()}, shared: shared}
}

func (s *insideNet) Dial() (faulttest.Way, error) {
	a, b := lane.Pair(remote.NetworkConfig("faults"))
	if s.shared {
		var err error
		if a, b, err = lane.PairShared(remote.NetworkConfig("faults")); err != nil {
			return nil, err
		}
	}
	s.serve(b)
	c, err := remote.NewNetwork(a)
	return netWay{c}, err
}

func (s *insideNet) serve(end *lane.Lane) {
	s.served.Add(1)
	done := remote.NetworkThrough(end, &s.net, remote.NetworkOptions{NoLend: s.lanes.Add(1)%2 == 0, Waits: true},
		func(h lane.Handler) lane.Handler { return lying(h, &s.net.Faults, 0) })
	go func() {
		<-done
		s.served.Done()
	}()
}

func (s *insideNet) Lies() bool { return s.lies }

func (s *insideNet) Open() int { return s.net.Open() }

func (s *insideNet) Trouble(_, _ <-chan struct{}) {}

func (s *insideNet) Census(t testing.TB) {
	s.served.Wait()
	if n := s.net.Open(); n != 0 {
		t.Errorf("%d sockets left open", n)
	}
}

// middleNet is a network in this process behind a middle.
type middleNet struct {
	*insideNet
	throughMiddle
}

func newMiddleNet(t *testing.T, misdeed func(*between)) *middleNet {
	s := &middleNet{insideNet: newInsideNet(true)}
	s.net.Faults.Slow.Store(10)
	listen := func(path string) (*lane.Listener, error) { return remote.ListenNetwork(path, 0o600) }
	s.throughMiddle = newThroughMiddle(t, misdeed, listen, s.serve)
	return s
}

func (s *middleNet) Dial() (faulttest.Way, error) { return dialNet(s.path) }

func (s *middleNet) Trouble(tick, stop <-chan struct{}) { s.trouble(tick, stop) }

func dialNet(path string) (faulttest.Way, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	c, err := remote.DialNetwork(ctx, path)
	return netWay{c}, err
}

// outsideNet is a network in a process of its own.
type outsideNet struct {
	judge
	faulttest.Outside[*serverProcess]
}

func newOutsideNet(t *testing.T, kills bool) *outsideNet {
	s := &outsideNet{}
	s.Kills = kills
	s.Start = func() *serverProcess { return processAt(t, "net/host/mixed", t.TempDir()) }
	s.Begin()
	return s
}

func (s *outsideNet) Dial() (faulttest.Way, error) {
	p, ok := s.Process()
	if !ok {
		return nil, fmt.Errorf("the server did not start again: %w", syscall.ENOENT)
	}
	return dialNet(p.path)
}

// Census checks that the process has no socket but that at which it listens.
func (s *outsideNet) Census(t testing.TB) {
	p, _ := s.Process()
	faulttest.Eventually(t, "the process has no sockets", func() bool { return p.sockets() == 1 })
}

// sockets counts them.
func (p *serverProcess) sockets() (n int) {
	dir := fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid)
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		if what, _ := os.Readlink(filepath.Join(dir, e.Name())); strings.HasPrefix(what, "socket:") {
			n++
		}
	}
	return n
}
