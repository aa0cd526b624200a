package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

type psCmd struct {
	Ops  bool `help:"List pending operations in place of processes."`
	JSON bool `name:"json" help:"Print everything as JSON."`
}

// Run lists what the running boxes of this user do.
func (p *psCmd) Run() error {
	all, err := boxes()
	if err != nil {
		return err
	}
	switch {
	case p.JSON:
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "\t")
		return e.Encode(all)
	case p.Ops:
		return printOperations(os.Stdout, all, time.Now())
	}
	return printProcesses(os.Stdout, all, time.Now())
}

func printProcesses(w io.Writer, all []snapshot, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "BOX\tPID\tPPID\tUID\tSTATE\tTHREADS\tAGE\tCOMMAND")
	for _, s := range all {
		fmt.Fprintf(t, "%d\t\t\t\t\t\t%s\t%s\n", s.PID, age(now.Sub(s.Started)), printable("hati run "+strings.Join(s.Command, " ")))
		for _, p := range s.Processes {
			command := "[" + p.Name + "]"
			if len(p.Args) > 0 {
				command = strings.Join(p.Args, " ")
			}
			fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%s\t%d\t%s\t%s\n", s.PID, p.PID, p.Parent, p.UID, p.State, p.Threads,
				age(now.Sub(p.Started)), printable(command))
		}
	}
	return t.Flush()
}

func printOperations(w io.Writer, all []snapshot, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(t, "BOX\tPID\tTID\tPROGRAM\tAGE\tSTATE\tSERVER\tOBJECT\tCALL")
	for _, s := range all {
		for _, o := range s.Operations {
			tid := "-"
			if o.TID != 0 {
				tid = fmt.Sprint(o.TID)
			}
			fmt.Fprintf(t, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", s.PID, o.PID, tid, dash(o.Program), age(now.Sub(o.Began)),
				o.State, dash(o.Server), dash(o.Object), printable(o.Call))
		}
	}
	return t.Flush()
}

func dash(s string) string { return cmp.Or(printable(s), "-") }

// age prints a duration with as many digits as it is worth.
func age(d time.Duration) string {
	switch {
	case d < 0:
		d = 0
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	case d < time.Minute:
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

// printable is s on one line, of at most 200 characters, without what terminals
// obey: names and arguments are guests' words.
func printable(s string) string {
	const most = 200
	var b strings.Builder
	n := 0
	for _, r := range s {
		if n++; n > most {
			b.WriteString("...")
			break
		}
		if !unicode.IsPrint(r) {
			r = '?'
		}
		b.WriteRune(r)
	}
	return b.String()
}
