package inet_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/vfstest"
)

// TestContract is the contract of networks in this process; package remote has it over
// lanes.
func TestContract(t *testing.T) {
	for name, mk := range map[string]func() (*inet.Network, error){
		"host": func() (*inet.Network, error) { return inet.Host(), nil }, "loopback": inet.Loopback,
	} {
		t.Run(name, func(t *testing.T) {
			vfstest.RunNetwork(t, func(t *testing.T) vfs.Network {
				n, err := mk()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { n.Close() })
				return n
			}, vfstest.NetworkOptions{})
		})
	}
}
