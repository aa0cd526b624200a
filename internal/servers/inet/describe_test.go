package inet_test

import (
	"net"
	"testing"

	"github.com/hati-os/hati/internal/servers/inet"
	"github.com/hati-os/hati/vfs"
	"github.com/hati-os/hati/vfs/netinfo"
	"golang.org/x/sys/unix"
)

// TestHostInterfaces compares with what package net finds.
func TestHostInterfaces(t *testing.T) {
	want, err := net.Interfaces()
	if err != nil {
		t.Skip(err)
	}
	host := inet.Host()
	links, err := host.Describe(t.Context(), vfs.NetQuery{Type: unix.RTM_GETLINK})
	if err != nil {
		t.Fatal(err)
	}
	var got []netinfo.Link
	for m := range netinfo.Messages(links) {
		l, ok := netinfo.ParseLink(m.Body)
		if !ok || m.Type != unix.RTM_NEWLINK {
			t.Fatalf("no link: %+v", m)
		}
		got = append(got, l)
	}
	if len(got) != len(want) {
		t.Fatalf("%d links, %d interfaces", len(got), len(want))
	}
	for i, w := range want {
		if l := got[i]; l.Name != w.Name || int(l.Index) != w.Index || int(l.MTU) != w.MTU {
			t.Errorf("%+v: got %+v", w, l)
		}
	}
	addrs, err := host.Describe(t.Context(), vfs.NetQuery{Type: unix.RTM_GETADDR})
	if err != nil {
		t.Fatal(err)
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for m := range netinfo.Messages(addrs) {
		if a, ok := netinfo.ParseAddr(m.Body); ok {
			have = append(have, a.Local.String())
		}
	}
	for i, a := range all {
		if i >= len(have) || have[i] != a.String() {
			t.Fatalf("addresses %v, want %v", have, all)
		}
	}
	if b, err := host.Describe(t.Context(), vfs.NetQuery{Type: unix.RTM_GETROUTE, Family: unix.AF_INET, To: []byte{127, 0, 0, 1}}); err != nil || len(b) == 0 {
		t.Errorf("route to 127.0.0.1: %v", err)
	}
	for _, typ := range []uint16{unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_SETLINK, unix.RTM_NEWADDR, unix.RTM_DELROUTE, 9999} {
		if _, err := host.Describe(t.Context(), vfs.NetQuery{Type: typ}); err != unix.EOPNOTSUPP {
			t.Errorf("request %d: %v", typ, err)
		}
	}
}
