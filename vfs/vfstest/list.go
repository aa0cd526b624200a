package vfstest

import (
	"fmt"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

func testList(e *env) {
	d := e.dir(e.root, "d")
	want := map[string]vfs.Attr{}
	for name, mode := range e.kinds() {
		for i := range 5 {
			name := fmt.Sprint(name, i)
			want[name] = e.attr(e.make(d, name, mode))
		}
	}
	for _, step := range []int{1, 2, 7, 1000} {
		list := e.list(d, step)
		seen, cookies := map[string]bool{}, map[uint64]bool{}
		for _, entry := range list {
			a, ok := want[entry.Name]
			switch {
			case !ok || seen[entry.Name]:
				e.Errorf("step %d: entry %q, before: %v", step, entry.Name, seen[entry.Name])
			case entry.Ino != a.Ino || entry.Type != 0 && entry.Type != a.Type():
				e.Errorf("%s: number %d, type %o; Stat says %d, %o", entry.Name, entry.Ino, entry.Type, a.Ino, a.Type())
			case cookies[entry.Next]:
				e.Errorf("cookie %d twice", entry.Next)
			}
			seen[entry.Name], cookies[entry.Next] = true, true
		}
		if len(seen) != len(want) {
			e.Errorf("step %d: %d entries of %d", step, len(seen), len(want))
		}
	}
	// Each cookie leads on to the rest, in any order.
	f := e.open(d, unix.O_RDONLY|unix.O_DIRECTORY)
	list := e.rest(f, 0, 3)
	for i := len(list) - 1; i >= 0; i -= 3 {
		rest := e.rest(f, list[i].Next, 5)
		if len(rest) != len(list)-1-i {
			e.Fatalf("after entry %d: %d more, want %d", i, len(rest), len(list)-1-i)
		}
		for j := range rest {
			if rest[j].Name != list[i+1+j].Name {
				e.Errorf("after entry %d: %q, want %q", i, rest[j].Name, list[i+1+j].Name)
			}
		}
	}
	e.shows(e.root, "d")
}

func testListRewind(e *env) {
	d := e.dir(e.root, "d")
	f := e.open(d, unix.O_RDONLY|unix.O_DIRECTORY)
	if list := e.readDir(f, 0, 10); len(list) > 0 {
		e.Errorf("an empty directory shows %v", list)
	}
	for i := range 3 {
		name := fmt.Sprint(i)
		e.file(d, name, "")
		if list := e.rest(f, 0, 10); len(list) != i+1 {
			e.Errorf("after making %d: %v", i+1, list)
		}
	}
	e.remove(d, "1", false)
	if list := e.rest(f, 0, 10); len(list) != 2 {
		e.Errorf("after removing one: %v", list)
	}
	if f.Node() != d {
		e.Error("the open directory's node is another")
	}
}

// testListChanging reads a large directory while names come and go: those that
// stay are seen exactly once.
func testListChanging(e *env) {
	const chunk = 500
	d := e.dir(e.root, "d")
	name := func(i int) string { return fmt.Sprintf("entry %d", i) }
	first := e.file(d, name(0), "")
	for i := 1; i < e.BigDir; i++ {
		if e.NoLink {
			e.file(d, name(i), "")
		} else if i%chunk == 0 { // a file system may bound the names of a file
			first = e.file(d, name(i), "")
		} else {
			e.ok(vfs.Link(e.ctx, d, first, name(i)), "link")
		}
	}
	f := e.open(d, unix.O_RDONLY|unix.O_DIRECTORY)
	seen := map[string]int{}
	var order []string
	changed := map[string]bool{}
	var cookies []uint64
	var after []int // by cookie: how many had been seen
	next, fresh := e.BigDir-1, 0
	for cookie := uint64(0); ; {
		list := e.readDir(f, cookie, chunk)
		if len(list) == 0 {
			break
		}
		for _, entry := range list {
			seen[entry.Name]++
			order = append(order, entry.Name)
		}
		cookie = list[len(list)-1].Next
		cookies, after = append(cookies, cookie), append(after, len(order))
		// Some that were seen go, some that may not have been, and some come.
		gone := []string{list[0].Name, list[len(list)-1].Name, name(next), name(next / 2)}
		next -= 7
		for _, g := range gone {
			if next > 0 && !changed[g] {
				changed[g] = true
				e.remove(d, g, false)
			}
		}
		for range 20 {
			if fresh++; fresh < 2000 {
				e.file(d, fmt.Sprint("fresh ", fresh), "")
				if fresh%3 == 0 {
					e.remove(d, fmt.Sprint("fresh ", fresh), false)
				}
			}
		}
		if m := name(next - 3); next > 3 && !changed[m] {
			changed[m] = true
			e.ok(vfs.Rename(e.ctx, d, m, d, m+" moved", 0), "rename")
		}
	}
	for i := range e.BigDir {
		if n := seen[name(i)]; n != 1 && !changed[name(i)] {
			e.Errorf("%s, which stayed, was seen %d times", name(i), n)
		}
	}
	// An old cookie still leads to the same ones that stay.
	stay := func(names []string) []string {
		var s []string
		for _, n := range names {
			if len(n) > 5 && n[:5] == "entry" && !changed[n] && seen[n] > 0 {
				s = append(s, n)
			}
		}
		return s
	}
	for _, at := range []int{0, len(cookies) / 2, len(cookies) - 1} {
		want := map[string]bool{}
		for _, n := range stay(order[after[at]:]) {
			want[n] = true
		}
		for _, entry := range e.rest(f, cookies[at], chunk) {
			delete(want, entry.Name)
		}
		if len(want) > 0 {
			e.Errorf("%d entries are not found from the cookie after %d", len(want), after[at])
		}
	}
	if got := len(e.list(d, 1000)); got == 0 {
		e.Error("the directory looks empty")
	}
}
