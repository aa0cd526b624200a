package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// tree returns the directory of a tree, the workshop itself for "".
func (w *workshop) tree(name string) string { return filepath.Join(w.dir, name) }

// count is how many files a tree has.
func count(tree string, quick bool) int {
	n := map[string]int{"repository": 20000, "files": 50000, "project": 20}[tree]
	if quick {
		n /= 100
	}
	return max(n, 2)
}

// plant makes a tree that is not there yet.
func (w *workshop) plant(ctx context.Context, name string) error {
	if name == "" || w.made[name] {
		return nil
	}
	dir := w.tree(name)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	var err error
	switch name {
	case "files":
		err = plantFiles(dir, count(name, w.quick))
	case "repository":
		err = errors.Join(plantFiles(dir, count(name, w.quick)), commit(ctx, dir))
	case "project":
		err = plantProject(dir, count(name, w.quick))
	}
	w.made[name] = err == nil
	return err
}

// plantFiles makes n small files, 100 in each directory.
func plantFiles(dir string, n int) error {
	sub := ""
	for i := range n {
		if i%100 == 0 {
			sub = filepath.Join(dir, fmt.Sprintf("d%02d", i/2500), fmt.Sprintf("d%03d", i/100))
			if err := os.MkdirAll(sub, 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("file%05d", i)), fmt.Appendf(nil, "%d\n", i), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func commit(ctx context.Context, dir string) error {
	for _, argv := range [][]string{
		{"git", "init", "-q"},
		{"git", "add", "-A"},
		{"git", "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m", "all"},
	} {
		if _, err := native.output(ctx, dir, argv...); err != nil {
			return err
		}
	}
	return nil
}

// plantProject makes a program of n source files.
func plantProject(dir string, n int) error {
	const makefile = `OBJECTS = $(patsubst %.c,%.o,$(wildcard *.c))
all: program
program: $(OBJECTS)
	gcc -o $@ $^
%.o: %.c
	gcc -O1 -c -o $@ $<
clean:
	rm -f program *.o
`
	files := map[string]string{"Makefile": makefile}
	var decl, calls strings.Builder
	for i := range n {
		files[fmt.Sprintf("part%02d.c", i)] = fmt.Sprintf(`#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int part%d(int x) {
	char text[64];
	for (int i = 0; i < %d; i++) {
		snprintf(text, sizeof text, "%%d %%d", x, i);
		x += strlen(text) ^ atoi(text);
	}
	return x;
}
`, i, i+3)
		fmt.Fprintf(&decl, "int part%d(int);\n", i)
		fmt.Fprintf(&calls, "\tx = part%d(x);\n", i)
	}
	files["main.c"] = fmt.Sprintf("#include <stdio.h>\n%sint main(void) {\n\tint x = 1;\n%s\treturn printf(\"%%d\\n\", x) < 0;\n}\n", &decl, &calls)
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
