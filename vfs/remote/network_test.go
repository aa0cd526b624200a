package remote_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/remote"
	"github.com/hati-os/hati/vfs/vfstest"
)

// networks are what is served.
var networks = map[string]func() (vfs.Network, error){
	"host":     func() (vfs.Network, error) { return inet.Host(), nil },
	"loopback": func() (vfs.Network, error) { return inet.Loopback() },
}

// netWays are those in which a socket can be reached.
var netWays = map[string]remote.NetworkOptions{
	"lent": {}, "asked": {NoLend: true}, "waits": {NoLend: true, Waits: true},
}

func netPair(t testing.TB, shared bool) (a, b *lane.Lane) {
	t.Helper()
	a, b = lane.Pair(remote.NetworkConfig("test"))
	if shared {
		var err error
		if a, b, err = lane.PairShared(remote.NetworkConfig("test")); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// overNet serves n at a new lane; the test waits until all is given back.
func overNet(t testing.TB, n vfs.Network, shared bool, o remote.NetworkOptions) *remote.NetworkClient {
	t.Helper()
	a, b := netPair(t, shared)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := remote.ServeNetwork(ctx, b, n, o); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() { <-done })
	c, err := remote.NewNetwork(a)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// TestNetworkContract is the contract of networks over every transport.
func TestNetworkContract(t *testing.T) {
	for kind, mk := range networks {
		for way, o := range netWays {
			if kind != "host" && way != "lent" && os.Getenv("HATI_HAMMER") == "" {
				continue
			}
			for _, shared := range []bool{false, true} {
				t.Run(fmt.Sprint(kind, "/", map[bool]string{false: "lane", true: "ring"}[shared], "/", way), func(t *testing.T) {
					t.Parallel()
					vfstest.RunNetwork(t, func(t *testing.T) vfs.Network {
						n, err := mk()
						if err != nil {
							t.Fatal(err)
						}
						if c, ok := n.(io.Closer); ok {
							t.Cleanup(func() { c.Close() })
						}
						return overNet(t, n, shared, o)
					}, vfstest.NetworkOptions{})
				})
			}
			t.Run(fmt.Sprint(kind, "/process/", way), func(t *testing.T) {
				t.Parallel()
				p := netProcess(t, kind, way)
				vfstest.RunNetwork(t, func(t *testing.T) vfs.Network {
					c, err := remote.DialNetwork(ctx, p.path)
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { c.Close() })
					return c
				}, vfstest.NetworkOptions{})
			})
		}
	}
}

// TestNetworkRelayed is the contract over two rings, one behind the other.
func TestNetworkRelayed(t *testing.T) {
	for name, o := range map[string]remote.NetworkOptions{"lent": {Waits: true}, "asked": {Waits: true, NoLend: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			vfstest.RunNetwork(t, func(t *testing.T) vfs.Network {
				return overNet(t, overNet(t, inet.Host(), true, remote.NetworkOptions{}), true, o)
			}, vfstest.NetworkOptions{})
		})
	}
}

// netProcess starts a network's server in a process of its own.
func netProcess(t testing.TB, kind, way string) *serverProcess {
	t.Helper()
	dir, err := os.MkdirTemp("", "remote")
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, "net/"+kind+"/"+way, dir, dir, filepath.Join(dir, "s"))
}

func serveNetProcess(kind, way string) error {
	n, err := networks[kind]()
	if err != nil {
		return err
	}
	l, err := remote.ListenNetwork(os.Getenv("REMOTE_TEST_SOCKET"), 0o600)
	if err != nil {
		return err
	}
	go func() {
		bufio.NewReader(os.Stdin).ReadString('\n')
		os.Exit(0)
	}()
	fmt.Println("ready")
	o, known := netWays[way]
	o.Log = func(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
	if known {
		return remote.ServeNetworkListener(ctx, l, n, o)
	}
	for { // mixed
		end, err := l.Accept(ctx)
		if err != nil {
			return err
		}
		o.NoLend = !o.NoLend
		go remote.ServeNetwork(ctx, end, n, o)
	}
}
