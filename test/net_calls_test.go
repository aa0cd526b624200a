package test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// netGuest compiles one of guest/net.
func netGuest(t *testing.T, name string) string {
	t.Helper()
	need(t, "gcc")
	program := filepath.Join(directory(t), name)
	if out, err := exec.Command("gcc", "-O1", "-w", "-pthread", "-o", program, "guest/net/"+name+".c").CombinedOutput(); err != nil {
		t.Fatalf("compiling: %v\n%s", err, out)
	}
	return program
}

// TestNetCalls compares what the calls on sockets return, line by line: every call in
// every state of a socket, every option with good and bad lengths, and what becomes of
// those who wait.
func TestNetCalls(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ guest, arg, net string }{
		{"states", "4", "host"},
		{"states", "6", "host"},
		{"states", "4", "loopback"},
		{"states", "6", "loopback"},
		{"options", "", "host"},
		{"waits", "", "host"},
		{"waits", "", "loopback"},
	} {
		t.Run(strings.TrimSpace(c.guest+" "+c.arg)+" "+c.net, func(t *testing.T) {
			t.Parallel()
			program := netGuest(t, c.guest)
			dir := filepath.Dir(program)
			want := native(t, dir, "", program, c.arg)
			got := under(t, dir, "", []string{"--net", c.net}, program, c.arg)
			if want.status != 0 || got.status != 0 {
				t.Errorf("natively it ends with %d, under hati with %d\n%s", want.status, got.status, tail(got.out))
			}
			lines(t, want.out, got.out)
		})
	}
}

// lines fails for lines that differ, and shows the first of them.
func lines(t *testing.T, want, got string) {
	t.Helper()
	a, b := strings.Split(want, "\n"), strings.Split(got, "\n")
	wrong := 0
	for i := range max(len(a), len(b)) {
		if x, y := line(a, i), line(b, i); x != y {
			if wrong++; wrong <= 20 {
				t.Errorf("line %d\nnatively:   %s\nunder hati: %s", i+1, x, y)
			}
		}
	}
	t.Logf("%d lines, of which %d differ", len(a), wrong)
}
