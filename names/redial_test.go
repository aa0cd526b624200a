package names_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/hati-os/hati/names"
)

// A registry that was started again is found at the next use.
func TestRedial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	begin := func() (r *names.Registry, end func()) {
		l, err := names.Listen(path, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		r = names.New()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			r.Serve(ctx, l)
		}()
		return r, func() { cancel(); <-done }
	}
	_, end := begin()
	d, err := names.Redial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if all, err := d.List(t.Context(), ""); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
	end()
	if _, err := d.List(t.Context(), ""); err == nil {
		t.Error("a list of a registry that is gone")
	}
	r, end := begin()
	defer end()
	register(t, r, "new", names.Service{Protocol: names.Talk})
	all, err := d.List(t.Context(), "")
	if err != nil || len(all) != 1 || all[0].Name != "new" {
		t.Error(all, err)
	}
}
