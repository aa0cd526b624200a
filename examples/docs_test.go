// Package examples_test holds the tutorials to the code that they show.
package examples_test

import (
	"os"
	"strings"
	"testing"
)

// Every line of Go in a tutorial is in its example; only the path of a socket is
// the reader's own.
func TestTutorialsShowTheirCode(t *testing.T) {
	for page, example := range map[string]string{
		"../docs/first-file-server.md": "first-file-server/main.go",
		"../docs/first-device.md":      "first-device/main.go",
		"../docs/first-network.md":     "first-network/main.go",
	} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		code, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		has := map[string]bool{}
		for line := range strings.Lines(string(code)) {
			has[strings.TrimSpace(line)] = true
		}
		blocks := strings.Split(string(text), "```go\n")[1:]
		if len(blocks) == 0 {
			t.Errorf("%s shows no code", page)
		}
		for _, b := range blocks {
			b, _, _ = strings.Cut(b, "```")
			for line := range strings.Lines(b) {
				line = strings.TrimSpace(line)
				if line != "..." && !has[line] && !strings.Contains(line, "/run/user/1000/") {
					t.Errorf("%s: not in %s: %s", page, example, line)
				}
			}
		}
	}
}
