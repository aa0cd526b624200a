package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// row is a line of the table: something that can be measured on any system.
type row struct {
	name string
	unit unit
	// tools must be on PATH; tree, if not "", names a tree of files that must be
	// there (trees.go).
	tools   []string
	tree    string
	measure func(context.Context, *workshop, system) (float64, error)
}

func (r *row) prepare(ctx context.Context, w *workshop) error {
	if err := need(r.tools...); err != nil {
		return err
	}
	return w.plant(ctx, r.tree)
}

// rows are all that there are, in the table's order.
func rows(quick bool) []row {
	all := []row{
		micro("getppid", "getppid"),
		micro("read of /dev/zero, 1 B", "zero"),
		micro("open + close", "open"),
		micro("stat", "stat"),
		micro("stat, missing file", "missing"),
		micro("pipe ping-pong, threads", "pipe-threads"),
		micro("pipe ping-pong, processes", "pipe-processes"),
		micro("TCP ping-pong, processes", "tcp"),
		micro("fork + exit + wait", "fork"),
		micro("fork + exec + wait", "exec"),
		micro("futex ping-pong", "futex"),
		micro("thread create + join", "thread"),
		micro("mmap + touch + munmap", "mmap"),
		micro("page fault", "fault"),
		micro("signal to itself", "signal"),
		micro("segv handler", "segv"),
		micro("nanosleep, 1 ns", "nanosleep"),
		micro("create + unlink", "create"),
		micro("pwrite, 4 KiB", "pwrite"),
		micro("pread, 64 KiB", "pread"),
	}
	return append(all, programs(quick)...)
}

// micro is a row of micro.c.
func micro(name, which string) row {
	return row{name: name, unit: seconds, measure: func(ctx context.Context, w *workshop, s system) (float64, error) {
		ms := "200"
		if w.quick {
			ms = "1"
		}
		out, err := s.output(ctx, w.dir, w.micro, which, w.dir, ms)
		if err != nil {
			return 0, err
		}
		ns, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if err != nil {
			return 0, fmt.Errorf("micro printed %q: %w", out, err)
		}
		return ns / 1e9, nil
	}}
}

// program is a row that measures how long a program runs, the start of its
// system included. Its directory is the tree.
func program(name, tree string, argv ...string) row {
	return row{name: name, unit: seconds, tree: tree, tools: argv[:1], measure: func(ctx context.Context, w *workshop, s system) (float64, error) {
		start := time.Now()
		_, err := s.output(ctx, w.tree(tree), argv...)
		return time.Since(start).Seconds(), err
	}}
}

// programs are the rows with whole programs, and what a program needs.
func programs(quick bool) []row {
	inserts, requests := 10000, 20000
	if quick {
		inserts, requests = 100, 200
	}
	compile := program("compile a C project", "project", "make", "-s", "clean", "all")
	compile.tools = []string{"make", "gcc"}
	return []row{
		program("`true`, start to end", "", "true"),
		program("`python3 -c pass`", "", "python3", "-c", "pass"),
		program(fmt.Sprintf("`git status`, %d files", count("repository", quick)), "repository", "git", "status"),
		program(fmt.Sprintf("`find -size`, %d files", count("files", quick)), "files", "find", ".", "-size", "+1k"),
		compile,
		sqlite(inserts),
		redis("a unix socket", "--port 0 --unixsocket ./redis.sock", "-s ./redis.sock", requests),
		redis("TCP", "--port 16379 --bind 127.0.0.1", "-p 16379", requests),
		{name: "memory of `true`, all processes (PSS)", unit: size, measure: memory},
	}
}

// sqlite inserts rows with a transaction each, without waiting for the disk.
func sqlite(inserts int) row {
	const script = `rm -f db; {
	echo 'PRAGMA synchronous=OFF; CREATE TABLE t (n INTEGER PRIMARY KEY, s TEXT);'
	i=0; while [ $i -lt $1 ]; do echo "INSERT INTO t VALUES ($i, 'some text');"; i=$((i+1)); done
	} >script.sql; sqlite3 db <script.sql`
	r := program(fmt.Sprintf("%d sqlite inserts", inserts), "database", "sh", "-c", script, "sh", strconv.Itoa(inserts))
	r.tools = []string{"sh", "sqlite3"}
	return r
}

// redis measures one SET from 50 clients, over what server and client are told by
// their flags. The benchmark begins when the server has said that it is ready.
func redis(over, server, client string, requests int) row {
	script := `redis-server ` + server + ` --save '' --daemonize no | {
	while read -r line; do case $line in *[Rr]"eady to accept"*) break;; esac; done
	redis-benchmark ` + client + ` -n "$1" -t set --csv >&2
	redis-cli ` + client + ` shutdown nosave
	cat >/dev/null; }`
	return row{
		name: fmt.Sprintf("redis-benchmark over %s, per SET of %d", over, requests), unit: seconds,
		tree: "database", tools: []string{"sh", "redis-server", "redis-benchmark", "redis-cli"},
		measure: func(ctx context.Context, w *workshop, s system) (float64, error) {
			out, err := s.output(ctx, w.tree("database"), "sh", "-c", "exec 2>&1; "+script, "sh", strconv.Itoa(requests))
			if err != nil {
				return 0, err
			}
			for _, l := range strings.Split(out, "\n") {
				// "SET","28571.43",... requests per second
				if f := strings.Split(l, `"`); len(f) > 3 && f[1] == "SET" {
					rate, err := strconv.ParseFloat(f[3], 64)
					if err != nil || rate <= 0 {
						return 0, fmt.Errorf("redis-benchmark printed %q", l)
					}
					return 1 / rate, nil
				}
			}
			return 0, fmt.Errorf("redis-benchmark printed no result: %s", lastLine(out))
		},
	}
}
