package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// The generated file in the tree is what the generator writes.
func TestGeneratedIsCurrent(t *testing.T) {
	src, err := os.ReadFile("../internal/kv/kv.go")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate("kv.go", src)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../internal/kv/kv_lane.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("kv_lane.go is not what lanegen writes: go generate ./lane/...")
	}
}

func TestBadProtocolsAreRefused(t *testing.T) {
	for name, tc := range map[string]struct{ src, want string }{
		"no protocol":        {"type A struct{ X int32 }", "no //lane:protocol"},
		"plain int":          {"//lane:protocol p 1\ntype A struct{ X int }", "not supported"},
		"map":                {"//lane:protocol p 1\ntype A struct{ X map[string]string }", "not supported"},
		"pointer":            {"//lane:protocol p 1\ntype A struct{ X *A }", "not supported"},
		"embedded":           {"//lane:protocol p 1\ntype B struct{}\ntype A struct{ B }", "embedded"},
		"hidden field":       {"//lane:protocol p 1\ntype A struct{ x int32 }", "not exported"},
		"contains itself":    {"//lane:protocol p 1\ntype A struct{ X []B }\ntype B struct { Y [2]A }", "contains itself"},
		"old after new":      {"//lane:protocol p 2\ntype A struct{ X int32 `lane:\"since=2\"`\nY int32 }", "new fields go to the end"},
		"slice of nothing":   {"//lane:protocol p 1\ntype A struct{ X []B }\ntype B struct{ Y [0]int32 }", "no bound"},
		"slice of the new":   {"//lane:protocol p 2 1\ntype A struct{ X [2][]B }\ntype B struct{ Y int32 `lane:\"since=2\"` }", "no bound"},
		"unknown tag":        {"//lane:protocol p 2\ntype A struct{ X int32 `lane:\"min=2\"` }", "bad tag"},
		"max on a number":    {"//lane:protocol p 2\ntype A struct{ X int32 `lane:\"max=2\"` }", "bad tag"},
		"unknown directive":  {"//lane:protocol p 2\n//lane:cal 1 A B C", "unknown //lane:"},
		"unknown message":    {"//lane:protocol p 2\n//lane:call 1 Get A B", "no struct A"},
		"the same number":    {"//lane:protocol p 2\n//lane:note 1 X A\n//lane:note 1 Y A\ntype A struct{}", "twice"},
		"number not numeric": {"//lane:protocol p two", "bad number"},
	} {
		_, err := generate("x.go", []byte("package p\n"+tc.src))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
