package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hati-os/hati"
)

type serveCmd struct {
	Listen     string   `required:"" placeholder:"PATH" help:"The socket, for --mount lane:PATH:DST. Only you can connect."`
	ReadOnly   bool     `help:"Refuse changes."`
	Unconfined bool     `help:"Serve without Landlock and seccomp, where the kernel has none."`
	Kind       string   `arg:"" help:"host DIR, tmp, or zip FILE."`
	Args       []string `arg:"" optional:"" help:"What the server serves."`
}

// Run serves until a signal ends it.
func (s *serveCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := hati.Serve(ctx, hati.ServeConfig{
		Kind: s.Kind, Args: s.Args, Listen: s.Listen, ReadOnly: s.ReadOnly, Unconfined: s.Unconfined,
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "hati: "+format+"\n", args...) },
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
