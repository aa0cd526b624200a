package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"text/tabwriter"

	"github.com/hati-os/hati/names"
)

type namesCmd struct {
	Listen string `placeholder:"PATH" help:"Keep a registry at this socket. Only you can connect."`
	List   string `placeholder:"PATH" help:"List what is registered at the registry there."`
}

// Run keeps a registry until a signal ends it, or lists one.
func (n *namesCmd) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	switch {
	case (n.Listen == "") == (n.List == ""):
		return fmt.Errorf("names: want either --listen PATH or --list PATH")
	case n.List != "":
		return n.list(ctx)
	}
	l, err := names.Listen(n.Listen, 0o600)
	if err != nil {
		return err
	}
	if err := names.New().Serve(ctx, l); ctx.Err() == nil {
		return err
	}
	return nil
}

func (n *namesCmd) list(ctx context.Context) error {
	c, err := names.Dial(ctx, n.List)
	if err != nil {
		return err
	}
	defer c.Close()
	all, err := c.List(ctx, "")
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, i := range all {
		fmt.Fprintf(w, "%s\t%v\t%d:%d\t%d\t%s\n", i.Name, i.Mode, i.UID, i.GID, i.Instances, i.Protocol)
	}
	return w.Flush()
}
