package test

import "testing"

// cancelProgram compiles a program of guest/cancel with musl, whose
// pthread_cancel is exact wherever the system shows it Linux's program counter
// and restarts. It returns the program's path.
func cancelProgram(t *testing.T, name string) string {
	t.Helper()
	return cancelProgramOf(t, "musl", name)
}

// TestC02_CancellationPoints cancels a thread before and in every cancellation
// point: what it waited for is still there.
func TestC02_CancellationPoints(t *testing.T) {
	t.Parallel()
	compare(t, nil, cancelProgram(t, "points"))
}

// TestC02_CancelAndHandlers: a handler that runs over a call that waits sees
// Linux's counter and registers, and a cancellation asked for meanwhile acts on
// the call that was to be cancelled.
func TestC02_CancelAndHandlers(t *testing.T) {
	t.Parallel()
	compare(t, nil, cancelProgram(t, "handlers"))
}

// TestC03_CancelRaces cancels calls while they complete: together with what is
// left they have returned all that there was, and no descriptor is lost.
func TestC03_CancelRaces(t *testing.T) {
	t.Parallel()
	races := "3000"
	if testing.Short() {
		races = "500"
	}
	compare(t, nil, cancelProgram(t, "races"), races)
}

// TestC09_SignalStorm: a signal that is not handled disturbs no wait.
func TestC09_SignalStorm(t *testing.T) {
	sameOutput(t, directory(t), 3, cancelProgram(t, "storm"))
}

// TestC13_Kill kills what waits, in every call that does; and ends processes
// whose threads wait everywhere.
func TestC13_Kill(t *testing.T) {
	t.Parallel()
	compare(t, nil, cancelProgram(t, "kill"))
}

// TestC17_Restart: timed waits last as long as without signals, and each of
// nested handlers restarts by its own flags.
func TestC17_Restart(t *testing.T) {
	sameOutput(t, directory(t), 1, cancelProgram(t, "restart"))
}

// TestC18_Close closes what others wait on, under signals and cancellation.
func TestC18_Close(t *testing.T) {
	t.Parallel()
	compare(t, nil, cancelProgram(t, "close"))
}
