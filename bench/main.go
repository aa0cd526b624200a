// Command bench measures what hati costs: each row of a table natively, under
// hati and, when runsc is on PATH, under gVisor, in turn within one run, several
// times. It prints the medians and their ratios as Markdown.
//
//	go run ./bench [-quick] [-run REGEXP] [-rounds N] [-o FILE]
//
// It uses package hati only through the command, as anybody would.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are what the flags say.
type options struct {
	quick  bool
	rounds int
	only   *regexp.Regexp
	out    string
}

func parse(args []string, errw io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(errw)
	f.BoolVar(&o.quick, "quick", false, "one short round with small inputs: shows that it works, not how fast")
	f.IntVar(&o.rounds, "rounds", 5, "how often each row is measured on each system")
	f.StringVar(&o.out, "o", "", "write the table to `FILE` instead of standard output")
	rows := f.String("run", "", "measure only the rows whose name matches `REGEXP`")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	if o.quick {
		o.rounds = 1
	}
	if o.rounds < 1 {
		return o, fmt.Errorf("-rounds %d: must be at least 1", o.rounds)
	}
	var err error
	if o.only, err = regexp.Compile(*rows); err != nil {
		return o, fmt.Errorf("-run: %w", err)
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) (err error) {
	o, err := parse(args, progress)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	chosen := slices.DeleteFunc(rows(o.quick), func(r row) bool { return !o.only.MatchString(r.name) })
	if len(chosen) == 0 {
		return fmt.Errorf("-run %s: no row is called so", o.only)
	}
	w, err := newWorkshop(ctx, o.quick)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(w.dir)) }()
	t := &table{about: about(o.rounds)}
	var failed error
	for _, r := range chosen {
		l, err := measureRow(ctx, w, r, o.rounds, progress)
		if err != nil && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		failed = errors.Join(failed, err)
		t.lines = append(t.lines, l)
	}
	t.about.loadAfter = load()
	if o.out != "" {
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		out = f
	}
	return errors.Join(t.write(out, w.systems), failed)
}

// limit ends what hangs.
const limit = 5 * time.Minute

// measureRow measures a row on all systems in turn, so that what disturbs the
// machine disturbs them alike.
func measureRow(ctx context.Context, w *workshop, r row, rounds int, progress io.Writer) (line, error) {
	l := line{row: r, values: make([][]float64, len(w.systems))}
	fmt.Fprintf(progress, "%-40s", r.name)
	defer fmt.Fprintln(progress)
	if err := r.prepare(ctx, w); err != nil {
		return l, fmt.Errorf("%s: preparing: %w", r.name, err)
	}
	var failed error
	broken := make([]bool, len(w.systems))
	for range rounds {
		for i, s := range w.systems {
			if broken[i] {
				continue
			}
			c, cancel := context.WithTimeout(ctx, limit)
			v, err := r.measure(c, w, s)
			cancel()
			if err != nil {
				broken[i] = true
				l.values[i] = nil
				failed = errors.Join(failed, fmt.Errorf("%s, %s: %w", r.name, s.name, err))
				fmt.Fprintf(progress, " %s:failed", s.name)
				continue
			}
			l.values[i] = append(l.values[i], v)
			fmt.Fprintf(progress, " %s:%s", s.name, r.unit.format(v))
		}
	}
	return l, failed
}
