package test

import (
	"slices"
	"strings"
	"testing"

	"github.com/hati-os/hati/internal/posix"
)

// TestC17_WaitingCalls compares what signals and stops do to each call that
// waits: the counter and register that the handler sees, restarts, results, the
// rest of the time.
func TestC17_WaitingCalls(t *testing.T) {
	t.Parallel()
	sameOutput(t, directory(t), 3, cancelProgramOf(t, "static", "blocking"))
}

// TestC20_WaitingCallsHaveWitnesses: each call that the table declares as one
// that can wait has a witness in the program above, or in the one for calls that
// wait for a file's server alone.
func TestC20_WaitingCallsHaveWitnesses(t *testing.T) {
	have := map[string]bool{
		"restart_syscall": true, // stands for the call that it restarts
	}
	for _, program := range []string{"blocking", "slow"} {
		r := native(t, directory(t), "", cancelProgramOf(t, "static", program), "list")
		for call := range strings.FieldsSeq(r.out) {
			have[call] = true
		}
	}
	waiting := posix.Waiting()
	for _, w := range waiting {
		if !w.Killable && !have[w.Name] {
			t.Errorf("%s can wait and has no witness", w.Name)
		}
		delete(have, w.Name)
	}
	delete(have, "restart_syscall")
	if len(have) != 0 {
		t.Errorf("witnesses of calls that do not wait, says the table: %v", have)
	}
	for _, name := range []string{"read", "futex", "accept4", "fcntl"} {
		if !slices.ContainsFunc(waiting, func(w posix.Waits) bool { return w.Name == name }) {
			t.Errorf("the table says that %s does not wait", name)
		}
	}
}
