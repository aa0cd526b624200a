package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts runs each of scripts/ natively and under hati, with the
// interpreter of its first line. A line "# needs: a b" names the tools it uses.
func TestScripts(t *testing.T) {
	list, err := filepath.Glob("scripts/*")
	if err != nil || len(list) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range list {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if tools, ok := strings.CutPrefix(strings.TrimSpace(line), "# needs: "); ok {
					need(t, strings.Fields(tools)...)
				}
			}
			// A script of its own, outside the directory that is compared.
			copied := filepath.Join(directory(t), filepath.Base(path))
			if err := writeProgram(copied, text); err != nil {
				t.Fatal(err)
			}
			compare(t, nil, copied)
		})
	}
}
