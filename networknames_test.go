package hati_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
)

// nameServer answers questions for the addresses of names, each in a message of its own.
func nameServer(names map[string][4]byte) func(net.Conn) {
	return func(c net.Conn) {
		buf := make([]byte, 512)
		for {
			n, err := c.Read(buf)
			if err != nil || n < 17 {
				return
			}
			var labels []string
			at := 12
			for at < n && buf[at] != 0 {
				end := at + 1 + int(buf[at])
				labels = append(labels, string(buf[at+1:end]))
				at = end
			}
			question := at + 5
			ip, known := names[strings.Join(labels, ".")]
			answer := append([]byte(nil), buf[:question]...)
			flags, answers := uint16(0x8180), uint16(0)
			if !known {
				flags |= 3 // NXDOMAIN
			} else if binary.BigEndian.Uint16(buf[at+1:]) == 1 {
				answers = 1
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
				answer = append(answer, ip[:]...)
			}
			binary.BigEndian.PutUint16(answer[2:], flags)
			binary.BigEndian.PutUint16(answer[6:], answers)
			binary.BigEndian.PutUint32(answer[8:], 0)
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}

// The C library's resolver finds the name server that the function has, at the address
// in /etc/resolv.conf.
func TestDialNetworkNames(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 192.0.2.53\noptions timeout:1 attempts:1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w := &world{servers: map[string]func(net.Conn){
		"udp 192.0.2.53:53": nameServer(map[string][4]byte{"www.hati.example": {192, 0, 2, 80}}),
		"tcp 192.0.2.80:80": func(c net.Conn) {
			fmt.Fprint(c, "found")
			c.(*net.UnixConn).CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		},
	}}
	box := newBox(t, hati.Config{
		Network: hati.DialNetwork(hati.NetworkFuncs{DialContext: w.dial}),
		Mounts:  []hati.Mount{hati.HostDir(conf, "/etc/resolv.conf", hati.ReadOnly)},
	})
	out, err := box.Command("python3", "-IS", "-c", `
import socket
print(socket.create_connection(("www.hati.example", 80)).recv(10))
for flags in (0, socket.AI_ADDRCONFIG):
    print(socket.getaddrinfo("www.hati.example", 80, type=socket.SOCK_STREAM, flags=flags)[0][4])
try: socket.getaddrinfo("ftp.hati.example", 80)
except socket.gaierror as e: print(e.errno == socket.EAI_NONAME)
`).CombinedOutput()
	if want := "b'found'\n('192.0.2.80', 80)\n('192.0.2.80', 80)\nTrue\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}

// A resolver that nobody answers can be killed, and the box ends.
func TestDialNetworkNoNames(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 192.0.2.53\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	begun := make(chan bool, 9)
	ended := make(chan error, 9)
	box := newBox(t, hati.Config{
		Network: hati.DialNetwork(hati.NetworkFuncs{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			begun <- true
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}}),
		Mounts: []hati.Mount{hati.HostDir(conf, "/etc/resolv.conf", hati.ReadOnly)},
	})
	cmd := box.Command("python3", "-IS", "-c", "import socket; socket.getaddrinfo('www.hati.example', 80)")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || err.Error() != "signal: killed" {
		t.Error(err)
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	<-ended
}
