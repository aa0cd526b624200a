package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/vfs/remote"
)

func TestInProcessAndOnItsOwn(t *testing.T) {
	dir, err := os.MkdirTemp("", "first")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	l, err := remote.Listen(socket, 0o600, lane.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error)
	go func() { served <- remote.ServeListener(ctx, l, &Bell{}, remote.ServeOptions{}) }()
	defer func() {
		cancel()
		<-served
	}()
	for name, mount := range map[string]hati.Mount{
		"in process": hati.Server(&Bell{}, "/dev/bell"), "on its own": hati.LaneServer(socket, "/dev/bell"),
	} {
		t.Run(name, func(t *testing.T) {
			box, err := hati.New(hati.Config{Mounts: []hati.Mount{mount}})
			if err != nil {
				t.Fatal(err)
			}
			defer box.Close()
			reader := box.Command("sh", "-c", "exec 3</dev/bell; echo ready; while read x <&3; do echo got $x; done")
			out, err := reader.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := reader.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			if s, _ := lines.ReadString('\n'); s != "ready\n" {
				t.Fatalf("%q", s)
			}
			for i := range 20 {
				if err := box.Command("sh", "-c", fmt.Sprintf("echo ding%d > /dev/bell", i)).Run(); err != nil {
					t.Fatal(err)
				}
				if s, err := lines.ReadString('\n'); s != fmt.Sprintf("got ding%d\n", i) {
					t.Fatalf("%q, %v", s, err)
				}
			}
			// It waits again, and a signal ends that.
			reader.Process.Signal(syscall.SIGTERM)
			if err := reader.Wait(); err == nil || err.Error() != "signal: terminated" {
				t.Errorf("the reader: %v", err)
			}
		})
	}
}
