package hati_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
	"github.com/hati-os/hati/vfs/remote"
)

// echo is a service that sends back what it gets, with who has asked before it.
func echo(t *testing.T) names.Service {
	return names.Service{Protocol: names.Talk, Mode: 0o666, Accept: func(_ context.Context, o names.Opening, l *lane.Lane) error {
		c, err := names.Converse(l, names.ConversationOptions{})
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			for {
				p, err := c.Recv(context.Background())
				if err != nil {
					return
				}
				if string(p) == "die" {
					return
				}
				if string(p) == "bye" {
					c.End(context.Background())
					return
				}
				if c.Send(context.Background(), append([]byte("<"), append(p, '>')...)) != nil {
					return
				}
			}
		}()
		return nil
	}}
}

// TestServices: a service is a file, and its messages keep their boundaries.
func TestServices(t *testing.T) {
	r := names.New()
	defer r.Close()
	if _, err := r.Register(t.Context(), "test.echo", echo(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Register(t.Context(), "other", echo(t)); err != nil {
		t.Fatal(err)
	}
	box, err := hati.New(hati.Config{Names: r})
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	const script = `
ls /srv
[ -c /srv/test.echo ] || echo no device
cat /srv/none
exec 3<>/srv/test.echo
printf one >&3; printf 'a longer message' >&3; printf three >&3
one() { dd bs=$1 count=1 <&3 2>/dev/null; echo; }
one 100; one 4; one 100
# A read that waits ends by a signal, and takes nothing.
cat <&3 & kill -TERM $!; wait $!; echo "status $?"
printf four >&3; one 100
printf bye >&3
cat <&3; echo "end $?"
exec 3<>/srv/test.echo
printf die >&3
cat <&3; echo "end $?"
trap '' PIPE
printf x >&3 || echo refused
rm /srv/other; mkdir /srv/dir; : >/srv/new
`
	cmd := box.Command("sh", "-c", script)
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	const want = `other
test.echo
<one>
<a l
<three>
status 143
<four>
end 0
end 1
refused
`
	if string(out) != want {
		t.Errorf("it printed\n%s\nwant\n%s\nand %s (%v)", out, want, errs.String(), err)
	}
	for _, what := range []string{"none: No such file", "reset by peer"} {
		if !strings.Contains(errs.String(), what) {
			t.Errorf("its errors lack %q:\n%s", what, errs.String())
		}
	}
}

// told is a connection that tells when something is registered over it.
type told struct {
	*names.Conn
	done chan struct{}
}

func (d told) Register(ctx context.Context, name string, s names.Service) (*names.Registration, error) {
	g, err := d.Conn.Register(ctx, name, s)
	close(d.done)
	return g, err
}

// TestNamedServer: a file server in a registry, found by name.
func TestNamedServer(t *testing.T) {
	r := names.New()
	defer r.Close()
	path := filepath.Join(t.TempDir(), "names.sock")
	l, err := names.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- r.Serve(ctx, l) }()
	server, err := names.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	client, err := names.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "photo"), []byte("a picture\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	files, err := host.New(dir, host.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	// register serves the files under their name until stop.
	register := func() (stop func()) {
		ctx, cancel := context.WithCancel(ctx)
		registered, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			_ = hati.RegisterServer(ctx, told{server, registered}, "fs.photos", 0, files, remote.ServeOptions{Survives: true})
		}()
		<-registered
		return func() {
			cancel()
			<-ended
		}
	}
	stop := register()
	box, err := hati.New(hati.Config{Names: client, Mounts: []hati.Mount{hati.NamedServer("fs.photos", "/photos")}})
	if err != nil {
		t.Fatal(err)
	}
	out, err := box.Command("cat", "/photos/photo").Output()
	if string(out) != "a picture\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
	// The next one that has the name takes over.
	stop()
	if _, err := box.Command("cat", "/photos/photo").Output(); err == nil {
		t.Error("a file without a server was read")
	}
	stop = register()
	if out, err := box.Command("cat", "/photos/photo").Output(); string(out) != "a picture\n" || err != nil {
		t.Errorf("after the name was taken over: %q, %v", out, err)
	}
	if err := box.Close(); err != nil {
		t.Error(err)
	}
	if _, err := hati.New(hati.Config{Names: client, Mounts: []hati.Mount{hati.NamedServer("fs.none", "/x")}}); !errors.Is(err, syscall.ENOENT) {
		t.Errorf("a name that is not there: %v", err)
	}
	stop()
	cancel()
	<-served
	server.Close()
}
