package vfstest_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The table of docs/reliability.md names every test that runs a suite of this
// package, and no other.
func TestTable(t *testing.T) {
	doc, err := os.ReadFile("../../docs/reliability.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(doc), "## Which suite runs over what")
	table, _, _ = strings.Cut(table, "\n## ")
	told := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z]+\\.Test\\w+)`").FindAllStringSubmatch(table, -1) {
		told[m[1]] = true
	}
	suites := regexp.MustCompile(`\bvfstest\.(Run|RunCancellation|Hammer)\(|\bmodel\.Run\(|\bfaulttest\.(Run|RunNetworks)\(`)
	tests := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	found := map[string]bool{}
	err = filepath.WalkDir("../..", func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, at := range suites.FindAllIndex(b, -1) {
			all := tests.FindAllSubmatch(b[:at[0]], -1)
			if len(all) == 0 {
				continue // a helper's comment
			}
			found[filepath.Base(filepath.Dir(path))+"."+string(all[len(all)-1][1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range found {
		if !told[name] {
			t.Errorf("%s runs a suite, and docs/reliability.md does not tell of it", name)
		}
	}
	for name := range told {
		if !found[name] {
			t.Errorf("docs/reliability.md tells of %s, which runs no suite", name)
		}
	}
}
