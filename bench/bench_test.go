package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestQuick measures two rows and looks at the table's form, not at speeds.
func TestQuick(t *testing.T) {
	if _, err := exec.LookPath("gcc"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("gcc is missing (run test/setup.sh)")
	}
	t.Setenv("PATH", withoutRunsc(t))
	file := filepath.Join(t.TempDir(), "table.md")
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-quick", "-run", "^(getppid|memory.*)$", "-o", file}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Errorf("with -o, standard output has %q", &out)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\d; .+, \d+ cores, Linux .+; go1\..+; medians, rounds: 1; load average .+\n` +
		`\n\| \| native \| hati \| hati/native \|\n\|---\|---:\|---:\|---:\|\n` +
		`\| getppid \| [\d.]+ \S+ \| [\d.]+ \S+ \| [\d.]+ \|\n` +
		`\| memory of .* \| [\d.]+ MB \| [\d.]+ MB \| [\d.]+ \|\n$`)
	if !want.Match(got) {
		t.Errorf("got this table:\n%s", got)
	}
}

// withoutRunsc is PATH without the directories in which runsc is: the test has
// two systems everywhere.
func withoutRunsc(t *testing.T) string {
	var dirs []string
	for _, d := range filepath.SplitList(os.Getenv("PATH")) {
		if _, err := os.Stat(filepath.Join(d, "runsc")); err != nil {
			dirs = append(dirs, d)
		}
	}
	return strings.Join(dirs, string(filepath.ListSeparator))
}

func TestTable(t *testing.T) {
	tab := table{
		about: machine{date: time.Unix(0, 0), cpu: "CPU", kernel: "Linux 9", loadAt: "0.1", loadAfter: "0.2", rounds: 3},
		lines: []line{
			{row{name: "a"}, [][]float64{{3e-7, 1e-7, 2e-7}, {2e-6}, {8e-6, 12e-6}}},
			{row{name: "b"}, [][]float64{{1.5}, nil, {3}}},
			{row{name: "c", unit: size}, [][]float64{{1e6}, {9.06e6}, {45e6}}},
		},
	}
	var out strings.Builder
	if err := tab.write(&out, []system{{name: "native"}, {name: "hati"}, {name: "gVisor"}}); err != nil {
		t.Fatal(err)
	}
	const want = `| | native | hati | hati/native | gVisor | gVisor/hati |
|---|---:|---:|---:|---:|---:|
| a | 200 ns | 2.00 µs | 10.0 | 10.0 µs | 5.00 |
| b | 1.50 s | failed | – | 3.00 s | – |
| c | 1.0 MB | 9.1 MB | 9.06 | 45.0 MB | 4.97 |
`
	if _, got, _ := strings.Cut(out.String(), "\n\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBadArguments(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-run", "("}, {"extra"}, {"-run", "^no such row$", "-quick"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%v is accepted", args)
		}
	}
}
