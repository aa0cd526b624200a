package hati_test

import (
	"context"
	"errors"
	"io"
	"os/exec"
	"regexp"
	"runtime"
	"testing"
	"time"

	"github.com/hati-os/hati"
)

// TestC21_NetworkOperations: who waits for a network is seen, with the other end; and
// the end of a context ends it, whatever it waits for.
func TestC21_NetworkOperations(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip(err)
	}
	box := newBox(t, hati.Config{Network: hati.LoopbackNetwork()})
	const begin = `
import socket
l = socket.socket(); l.bind(("127.0.0.1", 0)); l.listen(0)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(("127.0.0.1", 5353))
c = socket.socket(); d = socket.socket()
def pair():
    global a
    c.connect(l.getsockname()); a, _ = l.accept()
print("begun", flush=True)
`
	for _, c := range []struct{ script, call, object string }{
		{"l.accept()", `^accept4\(3, `, `^fd 3 socket:\[\d+\] \(TCP listens on 127\.0\.0\.1:\d+\)$`},
		{"u.recv(1)", `^recvfrom\(4, `, `^fd 4 socket:\[\d+\] \(UDP at 127\.0\.0\.1:5353\)$`},
		{"pair(); c.recv(1)", `^recvfrom\(5, `, `^fd 5 socket:\[\d+\] \(TCP to 127\.0\.0\.1:\d+\)$`},
		{"pair(); a.recv(1)", `^recvfrom\(7, `, `^fd 7 socket:\[\d+\] \(TCP from 127\.0\.0\.1:\d+\)$`},
		{"pair(); a.sendall(bytes(100000000))", `^sendto\(7, `, `^fd 7 socket:\[\d+\] \(TCP from 127\.0\.0\.1:\d+\)$`},
		{"c.connect(l.getsockname()); d.connect(l.getsockname())", `^connect\(6, `, `^fd 6 socket:\[\d+\] \(TCP to 127\.0\.0\.1:\d+\)$`},
	} {
		t.Run(c.script, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			cmd := box.CommandContext(ctx, "python3", "-c", begin+c.script)
			out, err := cmd.StdoutPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err == nil {
				_, err = io.ReadFull(out, make([]byte, len("begun")))
			}
			if err != nil {
				t.Fatal(err)
			}
			call, object := regexp.MustCompile(c.call), regexp.MustCompile(c.object)
			var got hati.Operation
			for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
				o, ok := find(box, func(o hati.Operation) bool { return o.State == hati.OperationWaiting && call.MatchString(o.Call) })
				if got = o; ok {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("never waits: %+v", box.Operations())
				}
			}
			if !object.MatchString(got.Object) || got.PID != cmd.Process.Pid() || got.Age() <= 0 {
				t.Errorf("%+v", got)
			}
			from := time.Now()
			cancel()
			if err := cmd.Wait(); !errors.Is(err, context.Canceled) {
				t.Errorf("ended by %v", err)
			}
			if d := time.Since(from); d > 5*time.Second {
				t.Errorf("after %v", d)
			}
		})
	}
}
