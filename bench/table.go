package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// table is what was measured.
type table struct {
	about machine
	lines []line
}

// line has a row's values for each system; none where it could not be measured.
type line struct {
	row    row
	values [][]float64
}

// unit says how values are written.
type unit int

const (
	seconds unit = iota
	size
)

func (u unit) format(v float64) string {
	if u == size {
		return fmt.Sprintf("%.1f MB", v/1e6)
	}
	switch {
	case v < 1e-6:
		return three(v*1e9) + " ns"
	case v < 1e-3:
		return three(v*1e6) + " µs"
	case v < 1:
		return three(v*1e3) + " ms"
	}
	return three(v) + " s"
}

// three writes a number with about three digits.
func three(v float64) string {
	switch {
	case v < 10:
		return fmt.Sprintf("%.2f", v)
	case v < 100:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	n := len(s)
	if n%2 == 1 {
		return s[n/2]
	}
	return (s[n/2-1] + s[n/2]) / 2
}

// write prints the table. The systems are native, hati and perhaps gVisor.
func (t *table) write(out io.Writer, systems []system) error {
	var b strings.Builder
	t.about.write(&b)
	head, rule := "| |", "|---|"
	for i, s := range systems {
		head += " " + s.name + " |"
		rule += "---:|"
		if i > 0 {
			head += " " + ratioName(systems, i) + " |"
			rule += "---:|"
		}
	}
	fmt.Fprintf(&b, "%s\n%s\n", head, rule)
	for _, l := range t.lines {
		fmt.Fprintf(&b, "| %s |", l.row.name)
		for i, v := range l.values {
			cell := "failed"
			if len(v) > 0 {
				cell = l.row.unit.format(median(v))
			}
			fmt.Fprintf(&b, " %s |", cell)
			if i > 0 {
				fmt.Fprintf(&b, " %s |", ratio(l.values, i))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// ratioName and ratio compare each system with the one before: hati with the
// host, gVisor with hati.
func ratioName(s []system, i int) string { return s[i].name + "/" + s[i-1].name }

func ratio(values [][]float64, i int) string {
	if len(values[i]) == 0 || len(values[i-1]) == 0 || median(values[i-1]) == 0 {
		return "–"
	}
	return three(median(values[i]) / median(values[i-1]))
}

// machine is where and when it was measured.
type machine struct {
	date              time.Time
	cpu, kernel       string
	loadAt, loadAfter string
	rounds            int
}

func about(rounds int) machine {
	m := machine{date: time.Now(), cpu: "unknown processor", loadAt: load(), rounds: rounds}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for _, l := range strings.Split(string(b), "\n") {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				m.cpu = strings.TrimSpace(v)
				break
			}
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return m
}

func (m *machine) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s; %s, %d cores, %s; %s; medians, rounds: %d; load average %s before, %s after.\n\n",
		m.date.UTC().Format(time.DateOnly), m.cpu, runtime.NumCPU(), m.kernel, runtime.Version(), m.rounds, m.loadAt, m.loadAfter)
}

// load is the host's load average of the last minute: on a busy machine absolute
// numbers say little.
func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}
