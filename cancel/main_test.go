package cancel_test

import (
	"os"
	"testing"

	"github.com/hati-os/hati/cancel"
)

// TestMain makes the test binary its own helper process.
func TestMain(m *testing.M) {
	if os.Getenv("HATI_CANCEL_HELPER") == "step" {
		cancel.StepHelper()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
