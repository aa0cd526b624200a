package main

import (
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/hati-os/hati"
)

func run(t *testing.T, n hati.Network, script string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip(err)
	}
	box, err := hati.New(hati.Config{Network: n})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	out, _ := box.Command("sh", "-c", script).CombinedOutput()
	return string(out)
}

func TestWorld(t *testing.T) {
	world := World{make(chan net.Conn)}
	go http.Serve(world, http.HandlerFunc(hello)) // for as long as the test runs
	n := hati.DialNetwork(hati.NetworkFuncs{DialContext: world.DialContext})
	if s := run(t, n, "curl -sS http://192.0.2.1/"); s != "hello from 192.0.2.1\n" {
		t.Errorf("the server: %s", s)
	}
	if s := run(t, n, "timeout 0.1 curl -sS http://192.0.2.2/ || echo gave up"); s != "gave up\n" {
		t.Errorf("the silent host: %s", s)
	}
	if s := run(t, n, "curl -sS http://192.0.2.3/"); !strings.Contains(s, "curl: (7)") {
		t.Errorf("nobody: %s", s)
	}
}

func TestOfficeHours(t *testing.T) {
	if s := run(t, hati.HostNetworkRules(officeHours), "curl -sS http://127.0.0.1:80/"); !strings.Contains(s, "curl: (7)") {
		t.Errorf("port 80: %s", s)
	}
}
