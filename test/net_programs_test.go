package test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// netSlow are the programs of netscripts that take too long for every day.
var netSlow = map[string]bool{"ssh.sh": true, "java.sh": true, "gunicorn.sh": true, "iperf.sh": true, "tools.sh": true, "postgres.sh": true}

// TestNetPrograms runs servers and clients that others wrote natively, with the host's
// network and with a network of the box's own, and compares what they print and leave.
func TestNetPrograms(t *testing.T) {
	t.Parallel()
	list, err := filepath.Glob("netscripts/*")
	if err != nil || len(list) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, path := range list {
		name := filepath.Base(path)
		hammer := os.Getenv("HATI_HAMMER") != ""
		if netSlow[name] && !hammer {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(text)) {
				if tools, ok := strings.CutPrefix(strings.TrimSpace(line), "# needs: "); ok {
					need(t, strings.Fields(tools)...)
				}
			}
			// Beside it is what finds a port for its servers.
			dir := directory(t)
			script := filepath.Join(dir, name)
			port, err := os.ReadFile("guest/net/port.py")
			if err == nil {
				err = writeProgram(filepath.Join(dir, "port"), port)
			}
			if err == nil {
				err = writeProgram(script, text)
			}
			if err != nil {
				t.Fatal(err)
			}
			compareWith(t, []string{"--net", "loopback"}, nil, script)
			if hammer {
				compareWith(t, []string{"--net", "host"}, nil, script)
			}
		})
	}
}
