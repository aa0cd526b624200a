package cancel

import "testing"

func TestThreadIDIsFoundWithoutASystemCall(t *testing.T) {
	if err := ready(); err != nil {
		t.Fatal(err)
	}
	t.Log(gToM, mToTID, rangeEnd-rangeBegin)
}
