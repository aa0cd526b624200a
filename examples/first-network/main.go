// Command first-network runs a program in a box whose only reachable host is a web
// server in this process.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"

	"github.com/hati-os/hati"
)

// World is all that is outside the box, and the listener of its one server.
type World struct{ conns chan net.Conn }

// DialContext connects the box's programs.
func (w World) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	switch network + " " + address {
	case "tcp 192.0.2.1:80":
		ours, theirs := net.Pipe()
		select {
		case w.conns <- theirs:
			return ours, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	case "tcp 192.0.2.2:80": // a host that never answers
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return nil, syscall.ENETUNREACH
}

func (w World) Accept() (net.Conn, error) { return <-w.conns, nil }
func (w World) Close() error              { return nil }
func (w World) Addr() net.Addr            { return &net.TCPAddr{} }

func hello(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "hello from", r.Host) }

// officeHours are rules for the host's network.
var officeHours = hati.NetworkRules{
	Deny: []hati.AddrRange{{Prefix: netip.MustParsePrefix("169.254.169.254/32")}},
	Check: func(_ context.Context, op, network string, addr netip.AddrPort) error {
		log.Print(op, " ", network, " ", addr)
		if op == "connect" && network == "tcp" && addr.Port() != 443 {
			return syscall.EACCES
		}
		return nil
	},
}

func main() {
	world := World{make(chan net.Conn)}
	go http.Serve(world, http.HandlerFunc(hello))
	network := hati.DialNetwork(hati.NetworkFuncs{DialContext: world.DialContext})
	script := "curl -sS http://192.0.2.1/; timeout 1 curl -sS http://192.0.2.2/ || echo gave up; curl -sS http://192.0.2.3/"
	if len(os.Args) == 2 && os.Args[1] == "host" {
		network = hati.HostNetworkRules(officeHours)
		script = "curl -sS http://127.0.0.1/"
	}
	box, err := hati.New(hati.Config{Network: network})
	if err != nil {
		log.Fatal(err)
	}
	defer box.Close()
	cmd := box.Command("sh", "-c", script)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		log.Print(err)
	}
}
