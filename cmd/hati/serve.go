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
	Listen     string   `placeholder:"PATH" help:"The socket, for --mount lane:PATH:DST. Only you can connect."`
	Names      string   `placeholder:"PATH" help:"The socket of a registry (hati names), instead of one of its own."`
	Name       string   `placeholder:"NAME" help:"The name there, for --mount name:NAME:DST."`
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
		Kind: s.Kind, Args: s.Args, Listen: s.Listen, Names: s.Names, Name: s.Name, ReadOnly: s.ReadOnly, Unconfined: s.Unconfined,
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "hati: "+format+"\n", args...) },
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
