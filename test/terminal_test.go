package test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTerminalHasAName: a terminal of the host can be found in the box, as
// programs look for the one they were given.
func TestTerminalHasAName(t *testing.T) {
	need(t, "python3", "ps")
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd := exec.Command(hati, "run", "--", "sh", "-c",
		`tty; python3 -c "import os; print(os.ttyname(0))"; ps -o tty= -p $$; echo typed >/dev/console; test -c /dev/console && echo there`)
	cmd.Stdin, cmd.Stderr = slave, slave
	out, err := cmd.Output()
	if want := "/dev/console\n/dev/console\nconsole\nthere\n"; err != nil || string(out) != want {
		t.Errorf("%v, got %q, want %q", err, out, want)
	}
	b := make([]byte, 100)
	if n, err := master.Read(b); err != nil || string(b[:n]) != "typed\r\n" {
		t.Errorf("the terminal got %q, %v", b[:n], err)
	}
	// Without one there is no such name.
	if r := under(t, "/", "", nil, "sh", "-c", "tty; ls /dev/console"); r.status == 0 || r.out != "not a tty\n" {
		t.Error(r)
	}
}
