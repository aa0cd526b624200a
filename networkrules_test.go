package hati_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/hati-os/hati"
)

func TestParseAddrRanges(t *testing.T) {
	for _, c := range []struct{ in, want, has, hasNot string }{
		{"10.0.0.0/8", "10.0.0.0/8", "10.1.2.3:4", "11.0.0.0:4"},
		{"10.9.9.9/8:443", "10.0.0.0/8:443", "10.1.2.3:443", "10.1.2.3:444"},
		{"127.0.0.1:80-90", "127.0.0.1/32:80-90", "127.0.0.1:90", "127.0.0.1:91"},
		{"127.0.0.1:80-90", "127.0.0.1/32:80-90", "[::ffff:127.0.0.1]:80", "[::1]:80"},
		{"::1", "::1/128", "[::1]:5", "[::2]:5"},
		{"[::1]", "::1/128", "[::1]:5", "127.0.0.1:5"},
		{"[fe80::/10]:1-65535", "[fe80::/10]:1-65535", "[fe80::1%lo]:5", "[fe80::1]:0"},
		{"::ffff:10.0.0.0/104", "10.0.0.0/8", "10.1.2.3:4", "11.0.0.0:4"},
		{"::/0", "::/0", "[::1]:5", "127.0.0.1:5"},
		{"*:53", "0.0.0.0/0:53 [::/0]:53", "1.2.3.4:53", "1.2.3.4:54"},
		{"localhost:53", "", "127.0.0.1:53", "127.0.0.1:54"},
	} {
		got, err := hati.ParseAddrRanges(context.Background(), c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		var all []string
		has, hasNot := false, false
		for _, r := range got {
			all = append(all, r.String())
			has = has || r.Contains(netip.MustParseAddrPort(c.has))
			hasNot = hasNot || r.Contains(netip.MustParseAddrPort(c.hasNot))
		}
		if s := strings.Join(all, " "); c.want != "" && s != c.want || !has || hasNot {
			t.Errorf("%s: %s, with %s: %v, with %s: %v", c.in, s, c.has, has, c.hasNot, hasNot)
		}
	}
	for _, bad := range []string{
		"", ":80", "[::1", "[::1]80", "[::1]:", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:x", "10.0.0.1:90-80", "10.0.0.1:1-", "10.0.0.1:65536",
		"10.0.0.0/33", "no such host.invalid", "/8",
	} {
		if r, err := hati.ParseAddrRanges(context.Background(), bad); err == nil {
			t.Errorf("%q is %v", bad, r)
		}
	}
}

// A range whose last port is left out is one port, not all.
func TestAddrRangeOfOnePort(t *testing.T) {
	r := hati.AddrRange{Prefix: netip.MustParsePrefix("10.0.0.0/8"), First: 443}
	if s := r.String(); s != "10.0.0.0/8:443" || !r.Contains(netip.MustParseAddrPort("10.1.2.3:443")) || r.Contains(netip.MustParseAddrPort("10.1.2.3:22")) {
		t.Errorf("%s", s)
	}
}

// Programs see a refusal as that of a local firewall, and what is allowed works.
func TestHostNetworkRules(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	allow, err := hati.ParseAddrRanges(context.Background(), fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	const script = `
import socket, sys
port = int(sys.argv[1])
def attempt(what, f):
    try: print(what, f() or "ok")
    except OSError as e: print(what, e.strerror)
def tcp(a, family=socket.AF_INET):
    with socket.socket(family) as s: s.connect(a)
def udp(a):
    with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b"x", a)
def serve(a):
    with socket.socket() as s:
        s.bind(a)
        s.listen()
def client():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.connect(("127.0.0.1", port))
attempt("allowed", lambda: tcp(("127.0.0.1", port)))
attempt("mapped", lambda: tcp(("::ffff:127.0.0.1", port), socket.AF_INET6))
attempt("client", client)
attempt("other port", lambda: tcp(("127.0.0.1", port ^ 1)))
attempt("other address", lambda: tcp(("127.0.0.2", port)))
attempt("denied", lambda: udp(("127.0.0.3", port)))
attempt("udp", lambda: udp(("127.0.0.1", port)))
attempt("serve anywhere", lambda: serve(("", 0)))
attempt("serve elsewhere", lambda: serve(("127.0.0.2", port)))
attempt("timeout", lambda: socket.create_connection(("127.0.0.2", port), timeout=5))
`
	box := newBox(t, hati.Config{Network: hati.HostNetworkRules(hati.NetworkRules{Allow: allow})})
	out, err := box.Command("python3", "-c", script, fmt.Sprint(port)).CombinedOutput()
	const no = " Permission denied\n"
	want := "allowed ok\nmapped ok\nclient ok\nother port" + no + "other address" + no + "denied" + no + "udp ok\nserve anywhere" + no +
		"serve elsewhere" + no + "timeout" + no
	if err != nil || string(out) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, out, want)
	}
}

func TestAddrRangeMapped(t *testing.T) {
	r := hati.AddrRange{Prefix: netip.MustParsePrefix("::ffff:10.0.0.0/104")}
	for a, want := range map[string]bool{"10.1.2.3:4": true, "[::ffff:10.1.2.3]:4": true, "11.0.0.1:4": false, "[::1]:4": false} {
		if got := r.Contains(netip.MustParseAddrPort(a)); got != want {
			t.Errorf("%s: %v", a, got)
		}
	}
}
