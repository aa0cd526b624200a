package srv_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/faulttest"
	"github.com/hati-os/hati/internal/servers/host"
	"github.com/hati-os/hati/lane"
	"github.com/hati-os/hati/names"
)

// serveProcess registers a service, for a directory's files, until its input ends.
func serveProcess(path, dir string) error {
	files, err := host.New(dir, host.Options{})
	if err != nil {
		return err
	}
	registers := faulttest.Files(files)
	registry, err := names.Dial(context.Background(), path)
	if err != nil {
		return err
	}
	_, err = registry.Register(context.Background(), service, names.Service{
		Protocol: names.Talk, Mode: 0o600, Replace: true,
		Accept: func(_ context.Context, _ names.Opening, l *lane.Lane) error {
			talk, err := names.Converse(l, names.ConversationOptions{})
			if err != nil {
				return err
			}
			go func() {
				c := &session{lane: l, locks: map[uint64]string{}}
				c.converse(context.Background(), registers, talk, nil)
				c.unlock(registers)
				talk.Close()
			}()
			return nil
		},
	})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	return nil
}

// processSite has the service in a process of its own.
type processSite struct {
	clients
	faulttest.Outside[*serviceProcess]
}

type serviceProcess struct {
	cmd *exec.Cmd
	in  io.Closer
}

func (p *serviceProcess) Signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

func (p *serviceProcess) End() {
	p.cmd.Process.Kill()
	p.in.Close()
	p.cmd.Wait()
}

func newProcessSite(t *testing.T, kills bool) *processSite {
	dir := t.TempDir()
	s := &processSite{clients: clients{TB: t, services: names.New()}}
	path := filepath.Join(dir, "names")
	l, err := names.Listen(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { s.services.Serve(ctx, l) })
	s.Kills = kills
	s.Start = func() *serviceProcess {
		p := &serviceProcess{cmd: exec.Command("/proc/self/exe")}
		p.cmd.Env = append(os.Environ(), "SRV_TEST_NAMES="+path, "SRV_TEST_DIR="+dir)
		p.cmd.Stderr = os.Stderr
		in, err := p.cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.in = in
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
			p.End()
			t.Fatalf("the service: %q, %v", line, err)
		}
		return p
	}
	s.Begin()
	t.Cleanup(func() {
		p, _ := s.Process()
		p.End()
		stop()
		serving.Wait()
	})
	return s
}

func (s *processSite) Census(testing.TB) {}
