package hati

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// tail passes on what a daemon prints, and remembers the last line.
type tail struct {
	mu   sync.Mutex
	to   io.Writer
	line []byte
	text string
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, l := range bytes.SplitAfter(p, []byte("\n")) {
		t.line = append(t.line, l...)
		if bytes.HasSuffix(l, []byte("\n")) {
			if s := strings.TrimSpace(string(t.line)); s != "" {
				t.text = s
			}
			t.line = t.line[:0]
		}
	}
	if len(t.line) > 4096 {
		t.line = t.line[:0]
	}
	if t.to != nil {
		_, _ = t.to.Write(p) // nobody to tell
	}
	return len(p), nil
}

func (t *tail) stop() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.to = nil
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text
}
