package test

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// sameHost compares a program natively with one that has the host's network, but for
// what unsteady matches.
func sameHost(t *testing.T, dir string, unsteady *regexp.Regexp, argv ...string) {
	t.Helper()
	guests, err := filepath.Abs("guest/net")
	if err != nil {
		t.Fatal(err)
	}
	n := native(t, dir, "", argv...)
	h := under(t, dir, "", []string{"--net", "host", "--mount", dir + ":" + dir, "--mount", guests + ":" + guests}, argv...)
	if unsteady != nil {
		n.out, h.out = unsteady.ReplaceAllString(n.out, "~"), unsteady.ReplaceAllString(h.out, "~")
	}
	if n == h {
		return
	}
	was, is := strings.Split(n.out, "\n"), strings.Split(h.out, "\n")
	for i := 0; i < len(was) && i < len(is); i++ {
		if was[i] != is[i] {
			t.Errorf("line %d of stdout:\n%s\n%s", i+1, clip(was[i]), clip(is[i]))
			break
		}
	}
	t.Errorf("%v differs\n=== natively: %v\n=== under hati: %v", argv, n, h)
}

// TestInterfaces compares what programs in several languages are told of the host's
// network.
func TestInterfaces(t *testing.T) {
	t.Parallel()
	guests, err := filepath.Abs("guest/net")
	if err != nil {
		t.Fatal(err)
	}
	lifetimes := regexp.MustCompile(`(valid_lft|preferred_lft|_life_time":|expires|proto ra|[0-9]+sec).*`)
	for _, c := range []struct {
		name    string
		build   []string // to which the name of the program is added
		argv    []string // none: the program
		changes *regexp.Regexp
	}{
		{name: "python", argv: []string{"python3", guests + "/ifaces.py"}},
		{name: "sockets", argv: []string{"python3", guests + "/sockets.py"}},
		{name: "glibc", build: []string{"gcc", "-w", guests + "/ifaddrs.c", "-o"}},
		{name: "musl", build: []string{"musl-gcc", "-static", "-w", guests + "/ifaddrs.c", "-o"}},
		{name: "go", build: []string{"go", "build", "-o"}},
		{name: "node", argv: []string{"node", "-e", `const d = require("dns"), os = require("os");
console.log(os.networkInterfaces());
d.lookup("localhost", {all: true}, (...found) => {
	console.log(...found);
	d.lookup("localhost", {family: 6, hints: d.ADDRCONFIG}, (e, a) => {
		console.log(e && e.code, a);
		d.lookup(os.hostname(), {all: true}, console.log);
	});
})`}},
		{name: "ip", argv: []string{"sh", "-c", `ip -j addr; ip link; ip -4 addr; ip -6 addr; ip addr show dev lo; ip link show lo; ip link show up
ip route; ip -6 route; ip route show table all; ip route get 127.0.0.1; ip -j route get ::1; ip rule; ip link show nonesuch; ip -d link show lo`}, changes: lifetimes},
		{name: "busybox", argv: []string{"sh", "-c", "busybox ip addr; busybox ip link; busybox route -n; busybox ifconfig lo | grep -v bytes | grep -v packets"}, changes: lifetimes},
		{name: "net-tools", argv: []string{"sh", "-c", "ifconfig lo | grep -v packets; netstat -rn; route -n; netstat -i | cut -c1-20"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, argv := directory(t), c.argv
			switch c.name {
			case "net-tools":
				need(t, "ifconfig", "netstat")
			case "sockets":
				need(t, "ss", "netstat")
			}
			if c.build != nil {
				need(t, c.build[0])
				argv = []string{filepath.Join(dir, "program")}
				build := append(c.build, argv[0])
				if c.name == "go" {
					build = append(build, guests+"/ifaces.go")
				}
				if out, err := exec.Command(build[0], build[1:]...).CombinedOutput(); err != nil {
					t.Fatalf("%v: %v\n%s", build, err, out)
				}
			}
			need(t, argv[0])
			sameHost(t, dir, c.changes, argv...)
		})
	}
}

// TestInterfacesChange has programs try to change the host's network.
func TestInterfacesChange(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	const script = `
import errno, fcntl, socket, struct
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
for typ in 16, 17, 19, 20, 21, 24, 25, 28, 29, 32, 33:
    s.send(struct.pack("IHHII", 32, typ, 5, 1, 0) + bytes(16))
    b = s.recv(4096)
    print(typ, struct.unpack_from("H", b, 4)[0], errno.errorcode[-struct.unpack_from("i", b, 16)[0]])
u = socket.socket(socket.AF_UNIX)
for cmd in 0x890b, 0x890c, 0x8914, 0x8916, 0x891c, 0x8922, 0x8924, 0x8943, 0x8955:
    try:
        fcntl.ioctl(u, cmd, bytes(64))
        print(hex(cmd), "done")
    except OSError as e:
        print(hex(cmd), errno.errorcode[e.errno])
`
	r := under(t, directory(t), "", []string{"--net", "host"}, "python3", "-c", script)
	lines := strings.Split(strings.TrimSpace(r.out), "\n")
	if r.status != 0 || len(lines) != 20 {
		t.Fatal(r)
	}
	for _, l := range lines {
		if !strings.HasSuffix(l, " EPERM") {
			t.Error(l)
		}
	}
}

// TestNoInterfaces looks from a box without a network.
func TestNoInterfaces(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	const script = `
import errno, fcntl, socket, struct
u = socket.socket(socket.AF_UNIX)
conf = bytearray(struct.pack("i4xP", 0, 0))
fcntl.ioctl(u, 0x8912, conf)
print(struct.unpack_from("i", conf)[0])
for call in lambda: fcntl.ioctl(u, 0x8933, bytes(b"lo".ljust(40, b"\0"))), lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0):
    try:
        print(call())
    except OSError as e:
        print(errno.errorcode[e.errno])
print(len(open("/proc/net/dev").readlines()), len(open("/proc/net/tcp").readlines()), len(open("/proc/net/if_inet6").readlines()))
`
	r := under(t, directory(t), "", []string{"--net", "none"}, "python3", "-c", script)
	if want := (result{out: "0\nENODEV\nEAFNOSUPPORT\n2 1 0\n"}); r != want {
		t.Errorf("got %v", r)
	}
}

// TestHostname resolves the box's own name.
func TestHostname(t *testing.T) {
	t.Parallel()
	need(t, "python3")
	const script = `
import socket
print(socket.gethostname(), socket.gethostbyname(socket.gethostname()))
print([line for line in open("/etc/hosts") if "hati-box" in line])
open("/etc/hosts", "a").write("127.0.0.9 other\n")
print(socket.gethostbyname("other"))
`
	r := under(t, directory(t), "", []string{"--user", "0:0", "--net", "host", "--hostname", "hati-box"}, "python3", "-c", script)
	if want := (result{out: "hati-box 127.0.0.1\n['127.0.0.1\\thati-box\\n']\n127.0.0.9\n"}); r != want {
		t.Errorf("got %v", r)
	}
}

// TestLoopbackInterfaces looks at the interface of a network of the box's own.
func TestLoopbackInterfaces(t *testing.T) {
	t.Parallel()
	need(t, "ip", "python3", "ss")
	const script = `ip addr | sed 's/ qlen.*//'; ip route; ip -6 route; ip route get 127.0.0.1 | head -1; ip route get 192.0.2.1; ip rule
python3 -c 'import socket; print(socket.if_nameindex()); l = socket.socket(); l.bind(("127.0.0.1", 80)); l.listen(5); import subprocess; print(*subprocess.check_output(["ss", "-tlnH"], text=True).split())'
cut -d: -f1 /proc/net/dev | tail -n +3; cat /proc/net/if_inet6 /proc/sys/net/ipv6/conf/all/disable_ipv6`
	const want = `1: lo: <LOOPBACK,UP,LOWER_UP> mtu 65536 qdisc noqueue state UNKNOWN group default
    link/loopback 00:00:00:00:00:00 brd 00:00:00:00:00:00
    inet 127.0.0.1/8 scope host lo
       valid_lft forever preferred_lft forever
    inet6 ::1/128 scope host 
       valid_lft forever preferred_lft forever
local 127.0.0.1 dev lo src 127.0.0.1 
0:	from all lookup local
32766:	from all lookup main
32767:	from all lookup default
[(1, 'lo')]
LISTEN 0 5 127.0.0.1:80 0.0.0.0:*
    lo
00000000000000000000000000000001 01 80 10 80       lo
0
`
	r := under(t, directory(t), "", []string{"--user", "0:0", "--net", "loopback"}, "sh", "-c", script)
	if r.out != want {
		t.Errorf("got %v", r)
	}
}
