// Command hati runs Linux programs in a sandbox.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/hati-os/hati"
)

// status are the exit statuses that hati itself uses, as docker does.
const (
	statusTimeout  = 124
	statusFailure  = 125
	statusDenied   = 126
	statusNotFound = 127
)

type cli struct {
	Run   runCmd   `cmd:"" help:"Run a program in a new box."`
	Ps    psCmd    `cmd:"" help:"List the processes of running boxes, or their pending operations."`
	Serve serveCmd `cmd:"" help:"Serve files in a process of its own."`
	Names namesCmd `cmd:"" help:"Keep a registry of servers by name."`
}

func main() {
	hati.Init()
	processors()
	var c cli
	parser, err := kong.New(&c, kong.Name("hati"),
		kong.Description("Runs unmodified Linux programs on an operating system written in Go."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		fail(err)
	}
	ctx, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(err)
	}
	if err := ctx.Run(); err != nil {
		fail(err)
	}
}

func fail(err error) {
	report(err)
	os.Exit(statusFailure)
}

// report prints an error. Those of package hati have its name already.
func report(err error) {
	fmt.Fprintln(os.Stderr, "hati:", strings.TrimPrefix(err.Error(), "hati: "))
}
