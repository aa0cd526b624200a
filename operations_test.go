package hati_test

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/vfs/vfstest"
)

func find(box *hati.Box, want func(hati.Operation) bool) (hati.Operation, bool) {
	for _, o := range box.Operations() {
		if want(o) {
			return o, true
		}
	}
	return hati.Operation{}, false
}

// TestC21_Operations: a pending operation can be seen, with its caller, its
// server, its age and its state, from its beginning to the late answer.
func TestC21_Operations(t *testing.T) {
	p := vfstest.NewPuppet()
	box := newBox(t, hati.Config{Mounts: []hati.Mount{hati.Server(p, "/puppet")}})
	stop := p.Ignore("read")
	defer stop.Release()
	cmd := box.Command("cat", "/puppet/file")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-stop.Entered
	o, ok := find(box, func(o hati.Operation) bool { return strings.HasPrefix(o.Call, "read(") })
	if !ok {
		t.Fatalf("not listed: %+v", box.Operations())
	}
	if o.PID != cmd.Process.Pid() || o.TID != o.PID || o.Program != "cat" || o.Server != "vfs at /puppet" ||
		!strings.HasSuffix(o.Object, "/puppet/file") || o.State != hati.OperationWaiting || o.Age() <= 0 {
		t.Errorf("%+v", o)
	}
	found := false
	for _, i := range box.Processes() {
		if i.PID == cmd.Process.Pid() {
			found = true
			if i.Name != "cat" || i.State != "sleeping" || i.Threads != 1 || strings.Join(i.Args, " ") != "cat /puppet/file" {
				t.Errorf("%+v", i)
			}
		}
	}
	if !found {
		t.Errorf("no process: %+v", box.Processes())
	}
	cmd.Process.Kill()
	cmd.Wait()
	if o, ok := find(box, func(o hati.Operation) bool { return o.State == hati.OperationAbandoned }); !ok ||
		o.Call != "read" || o.Server != "vfs at /puppet" || o.PID != cmd.Process.Pid() {
		t.Errorf("%+v, %v", o, ok)
	}
	stop.Release()
	deadline := time.Now().Add(10 * time.Second)
	for len(box.Operations()) > 0 {
		if time.Now().After(deadline) {
			t.Fatalf("still there: %+v", box.Operations())
		}
		runtime.Gosched()
	}
}
