package cancel_test

import (
	"os"
	"testing"
)

// TestMain makes the test binary its own helper processes.
func TestMain(m *testing.M) {
	if help := helpers[os.Getenv("HATI_CANCEL_HELPER")]; help != nil {
		help()
		os.Exit(0)
	}
	os.Exit(m.Run())
}
