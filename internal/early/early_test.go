package early_test

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/early"
)

func TestMain(m *testing.M) {
	if os.Getenv("HATI_EARLY") != "" {
		var now syscall.Rlimit
		syscall.Getrlimit(syscall.RLIMIT_NOFILE, &now)
		fmt.Println(early.OpenFiles.Cur, early.OpenFiles.Max, now.Cur > early.OpenFiles.Cur)
		return
	}
	os.Exit(m.Run())
}

// TestOpenFiles: the limit is that of the shell which started the program, not
// the one that the runtime has set since.
func TestOpenFiles(t *testing.T) {
	cmd := exec.Command("sh", "-c", `ulimit -Sn 99; ulimit -Hn 200; exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), "HATI_EARLY=1")
	out, err := cmd.CombinedOutput()
	if string(out) != "99 200 true\n" || err != nil {
		t.Errorf("%q, %v", out, err)
	}
}
