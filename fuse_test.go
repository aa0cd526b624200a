package hati

import (
	"slices"
	"testing"
)

func TestFUSEWords(t *testing.T) {
	for in, want := range map[string][]string{
		"a b  c":         {"a", "b", "c"},
		" a\tb ":         {"a", "b"},
		`a 'b c' "d\"e"`: {"a", "b c", `d"e`},
		`a\ b '\' ''`:    {"a b", `\`, ""},
		"":               nil,
	} {
		if got, err := words(in); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"'", `a "b`} {
		if got, err := words(in); err == nil {
			t.Errorf("%q: %q", in, got)
		}
	}
}

func TestFUSEOptionsFromArgs(t *testing.T) {
	var o FUSEOptions
	o.fromArgs([]string{"d", "-o", "x,allow_other", "-oro", "-o", "y=1,default_permissions"})
	if !o.AllowOther || !o.DefaultPermissions || !o.ReadOnly {
		t.Errorf("%+v", o)
	}
	o = FUSEOptions{}
	if o.fromArgs([]string{"-f", "ro", "-o"}); o != (FUSEOptions{}) {
		t.Errorf("%+v", o)
	}
}
