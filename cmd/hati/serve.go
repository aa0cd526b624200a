package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/hati-os/hati"
)

type serveCmd struct {
	Listen     string   `placeholder:"PATH" help:"The socket, for --mount lane:PATH:DST or --net lane:PATH. Only you can connect."`
	Names      string   `placeholder:"PATH" help:"The socket of a registry (hati names), instead of one of its own."`
	Name       string   `placeholder:"NAME" help:"The name there, for --mount name:NAME:DST or --net name:NAME."`
	ReadOnly   bool     `help:"Refuse changes."`
	NoLend     bool     `help:"Hand over no descriptors to read and write files with: each read and write, or send and receive, asks the server."`
	Unconfined bool     `help:"Serve without Landlock and seccomp, where the kernel has none."`
	Upper      string   `placeholder:"DIR" help:"For an overlay: the empty directory that gets what is changed."`
	Kind       string   `arg:"" help:"What is served: see below."`
	Args       []string `arg:"" optional:"" help:"Its arguments."`
}

// Help lists the kinds.
func (*serveCmd) Help() string { return "Kinds:\n\n  " + strings.Join(hati.ServeKinds(), "\n\n  ") }

// Run serves until a signal ends it.
func (s *serveCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := hati.Serve(ctx, hati.ServeConfig{
		Kind: s.Kind, Args: s.Args, Listen: s.Listen, Names: s.Names, Name: s.Name, ReadOnly: s.ReadOnly, Upper: s.Upper, NoLend: s.NoLend, Unconfined: s.Unconfined,
		Log: func(format string, args ...any) { fmt.Fprintf(os.Stderr, "hati: "+format+"\n", args...) },
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}
