package model

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// list compares a directory's entries.
func (w *world) list(path string) []string {
	n, err := w.walk(path)
	if err != nil {
		return nil
	}
	if _, ok := n.(vfs.Dir); !ok {
		return nil
	}
	entries, err := os.ReadDir(w.host(path))
	if err != nil {
		w.Fatalf("list %s: the host: %v", path, err)
	}
	var want, got []string
	for _, e := range entries {
		want = append(want, e.Name())
	}
	f, err := vfs.Open(w.ctx, n, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		w.Fatalf("open directory %s: %v", path, err)
	}
	defer f.Close()
	for cookie := uint64(0); ; {
		list, err := f.(vfs.DirReader).ReadDir(w.ctx, cookie, 2)
		if err != nil {
			w.Fatalf("list %s: %v", path, err)
		}
		if len(list) == 0 {
			break
		}
		for _, e := range list {
			got = append(got, e.Name)
			c, err := vfs.Lookup(w.ctx, n, e.Name)
			if err != nil {
				w.Fatalf("%s in %s is listed, but: %v", e.Name, path, err)
			}
			if a, err := c.Stat(w.ctx); err != nil || a.Ino != e.Ino || e.Type != 0 && a.Type() != e.Type {
				w.Fatalf("%s in %s is listed as %d, %o; stat: %d, %o, %v", e.Name, path, e.Ino, e.Type, a.Ino, a.Type(), err)
			}
			cookie = e.Next
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.Fatalf("%s shows %q, the host: %q", path, got, want)
	}
	return got
}

// compareTrees compares everything that has a name, and which names lead to the
// same file.
func (w *world) compareTrees() {
	nodes, inos := map[uint64]vfs.Node{}, map[uint64]uint64{}
	var below func(path string)
	below = func(path string) {
		for _, name := range w.list(path) {
			p := filepath.Join(path, name)
			n, err := w.walk(p)
			if err != nil {
				w.Fatalf("walk to %s: %v", p, err)
			}
			var st unix.Stat_t
			if err := unix.Lstat(w.host(p), &st); err != nil {
				w.Fatal(err)
			}
			w.compareAttr(p, n, &st)
			a, _ := n.Stat(w.ctx)
			if old, ok := nodes[st.Ino]; ok && (old != n || inos[st.Ino] != a.Ino) {
				w.Fatalf("%s is another file than it was by its other name", p)
			}
			for ino, old := range nodes {
				if ino != st.Ino && (old == n || inos[ino] == a.Ino) {
					w.Fatalf("%s is a file that it should not be", p)
				}
			}
			nodes[st.Ino], inos[st.Ino] = n, a.Ino
			switch {
			case a.IsDir():
				below(p)
			case a.IsRegular():
				w.compareContents(p, n)
			case a.IsSymlink():
				if text, err := vfs.Readlink(w.ctx, n); text != target || err != nil {
					w.Fatalf("%s leads to %q, %v", p, text, err)
				}
			}
		}
	}
	below("")
}

func (w *world) compareContents(path string, n vfs.Node) {
	want, err := os.ReadFile(w.host(path))
	if err != nil {
		w.Fatal(err)
	}
	f, err := vfs.Open(w.ctx, n, unix.O_RDONLY)
	if err != nil {
		w.Fatalf("open %s: %v", path, err)
	}
	defer f.Close()
	got := make([]byte, len(want)+1)
	done := 0
	for done < len(got) {
		k, err := vfs.Read(w.ctx, f, got[done:], int64(done))
		if err != nil {
			w.Fatalf("read %s: %v", path, err)
		}
		if k == 0 {
			break
		}
		done += k
	}
	if string(got[:done]) != string(want) {
		w.Fatalf("%s holds %d bytes, the host: %d; or they differ", path, done, len(want))
	}
}

// populateBoth makes the same random tree in two directories, with hard links,
// holes and attributes.
func populateBoth(t *rapid.T, dirs ...string) {
	made := rapid.SliceOfN(paths, 0, 12).Draw(t, "tree")
	kinds := rapid.SliceOfN(rapid.IntRange(0, 6), len(made), len(made)).Draw(t, "kinds")
	for _, dir := range dirs {
		var files []string
		for i, path := range made {
			p := filepath.Join(dir, path)
			if os.MkdirAll(filepath.Dir(p), 0o700) != nil {
				continue
			}
			switch kinds[i] {
			case 0:
				os.Mkdir(p, 0o700)
			case 1:
				os.Symlink(target, p)
			case 2:
				if len(files) > 0 {
					os.Link(files[len(files)-1], p)
				}
			case 3:
				unix.Mkfifo(p, 0o700)
			default:
				f, err := os.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
				if err != nil {
					continue
				}
				fmt.Fprintf(f, "contents %d", i)
				switch kinds[i] {
				case 5:
					f.WriteAt([]byte("far"), 100_000)
				case 6: // a hole at the end
					f.Truncate(50_000)
				}
				f.Close()
				unix.Setxattr(p, "user.x", []byte("below"), 0)
				files = append(files, p)
			}
		}
	}
}

// snapshot describes all that a change of a tree would change.
func snapshot(t *rapid.T, dir string) string {
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Lstat(p, &st); err != nil {
			return err
		}
		fmt.Fprintln(&b, strings.TrimPrefix(p, dir), st.Ino, st.Mode, st.Nlink, st.Uid, st.Gid, st.Size, st.Mtim, st.Ctim)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
