package abi_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// layout says how a structure's bytes look to C: which C expression over a
// variable v of the type yields the value of which field.
type layout struct {
	ctype string
	size  int
	value any         // with Encode; its fields are filled with distinct values
	views [][2]string // C expression, path of the Go field or a number
}

// The C compiler's view of the headers of libc and of those of the kernel,
// which cannot be included together.
const libcHeaders = `
#define _GNU_SOURCE
#include <stddef.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <ucontext.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <linux/futex.h>
#include <linux/openat2.h>
`

const kernelHeaders = `
#include <stddef.h>
#include <linux/types.h>
#include <linux/sched.h>
#include <asm/prctl.h>
#include <asm/signal.h>
#include <asm/siginfo.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/poll.h>
#include <asm/ioctls.h>
#include <linux/auxvec.h>
#include <linux/fcntl.h>
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <linux/membarrier.h>
#include <linux/openat2.h>
#include <linux/sched/types.h>
#include <linux/signalfd.h>
struct rt_sigframe { char *pretcode; struct ucontext uc; struct siginfo info; };
int printf(const char *, ...);
void *memcpy(void *, const void *, unsigned long);
`

// TestLayouts has a C compiler look at what Encode wrote, and Decode read it.
func TestLayouts(t *testing.T) {
	for _, g := range []struct {
		name, headers string
		layouts       []layout
	}{
		{"libc", libcHeaders + "#include <stdio.h>\n#include <string.h>\n", libcLayouts()},
		{"kernel", kernelHeaders, kernelLayouts()},
	} {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			var src strings.Builder
			fmt.Fprintf(&src, "%s\nint main(void) {\n", g.headers)
			for _, l := range g.layouts {
				b := encode(t, l)
				fmt.Fprintf(&src, "{ static const unsigned char b[] = {")
				for _, x := range b {
					fmt.Fprintf(&src, "%d,", x)
				}
				fmt.Fprintf(&src, "};\n%s v; memcpy(&v, b, sizeof b < sizeof v ? sizeof b : sizeof v);\n", l.ctype)
				fmt.Fprintf(&src, "printf(\"%%llu\", (unsigned long long)sizeof v);\n")
				for _, w := range l.views {
					fmt.Fprintf(&src, "printf(\" %%lld\", (long long)(%s));\n", w[0])
				}
				fmt.Fprintf(&src, "printf(\"\\n\"); }\n")
			}
			src.WriteString("return 0; }\n")
			lines := strings.Split(strings.TrimSpace(runC(t, src.String())), "\n")
			if len(lines) != len(g.layouts) {
				t.Fatalf("got %d lines for %d layouts", len(lines), len(g.layouts))
			}
			for i, l := range g.layouts {
				got := strings.Fields(lines[i])
				if got[0] != strconv.Itoa(l.size) {
					t.Errorf("%s: size %d, to C %s", l.ctype, l.size, got[0])
				}
				for j, w := range l.views {
					if want := goValue(t, l.value, w[1]); got[j+1] != want {
						t.Errorf("%s: C's %s is %s, want %s = %s", l.ctype, w[0], got[j+1], w[1], want)
					}
				}
			}
		})
	}
}

// TestConstants compares numbers with the C headers', as far as these are new
// enough to have them.
func TestConstants(t *testing.T) {
	t.Parallel()
	var src strings.Builder
	fmt.Fprintf(&src, "%s\nint main(void) {\n", kernelHeaders)
	for _, c := range constants {
		line := fmt.Sprintf("printf(\"%s %%lld\\n\", (long long)(%s));\n", c.name, c.name)
		if !c.enum {
			line = fmt.Sprintf("#ifdef %s\n%s#endif\n", c.name, line)
		}
		src.WriteString(line)
	}
	src.WriteString("return 0; }\n")
	seen := map[string]int64{}
	for line := range strings.Lines(runC(t, src.String())) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seen[name] = n
	}
	missing := 0
	for _, c := range constants {
		got, ok := seen[c.name]
		if !ok {
			missing++
			t.Logf("%s is not in the headers", c.name)
		} else if uint32(got) != uint32(c.value) || c.value > 0xffffffff && got != c.value {
			t.Errorf("%s is %#x, to C %#x", c.name, c.value, got)
		}
	}
	if missing > 50 {
		t.Errorf("%d of %d constants are not in the headers", missing, len(constants))
	}
}

// encode fills the fields of l's value, encodes it over two different
// backgrounds, and decodes it again if it can.
func encode(t *testing.T, l layout) []byte {
	t.Helper()
	v := reflect.ValueOf(l.value).Elem()
	if v.Kind() == reflect.Struct && v.IsZero() {
		n := int64(0x101)
		fill(v, &n)
	}
	enc := l.value.(interface{ Encode([]byte) })
	b, c := make([]byte, l.size), bytes.Repeat([]byte{0xff}, l.size)
	enc.Encode(b)
	enc.Encode(c)
	if !bytes.Equal(b, c) {
		t.Errorf("%s: Encode leaves bytes as they were:\n% x\n% x", l.ctype, b, c)
	}
	again := reflect.New(v.Type())
	switch dec := again.Interface().(type) {
	case interface{ Decode([]byte) }:
		dec.Decode(b)
	case interface{ Decode([]byte) bool }:
		if !dec.Decode(b) {
			t.Errorf("%s: Decode found more than Encode wrote", l.ctype)
		}
	case interface{ Decode([]byte) error }:
		if err := dec.Decode(b); err != nil {
			t.Errorf("%s: Decode: %v", l.ctype, err)
		}
	default:
		return b
	}
	if !reflect.DeepEqual(again.Interface(), l.value) {
		t.Errorf("%s: decoded %+v, want %+v", l.ctype, again.Elem(), v)
	}
	return b
}

// fill gives each leaf a value of its own that fits 15 bits.
func fill(v reflect.Value, n *int64) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.String:
		v.SetString(fmt.Sprint("s", *n))
		*n++
	default:
		if v.CanInt() {
			v.SetInt(*n)
		} else if v.Type().Size() == 1 {
			v.SetUint(uint64(*n & 0xff))
		} else {
			v.SetUint(uint64(*n))
		}
		*n += 0x11
	}
}

// goValue is the number at path in v: "A.B", "A.0" for an element,
// "major(A)", "minor(A)", or the number itself.
func goValue(t *testing.T, v any, path string) string {
	t.Helper()
	if _, err := strconv.ParseInt(path, 0, 64); err == nil {
		n, _ := strconv.ParseInt(path, 0, 64)
		return strconv.FormatInt(n, 10)
	}
	f := reflect.ValueOf(v).Elem()
	name, arg, call := strings.Cut(strings.TrimSuffix(path, ")"), "(")
	if call {
		path = arg
	}
	for _, p := range strings.Split(path, ".") {
		if i, err := strconv.Atoi(p); err == nil {
			f = f.Index(i)
		} else if p != "" {
			f = f.FieldByName(p)
		}
	}
	if !f.IsValid() {
		t.Fatalf("%T has no %s", v, path)
	}
	switch {
	case call && name == "major":
		return fmt.Sprint(unix.Major(f.Uint()))
	case call && name == "minor":
		return fmt.Sprint(unix.Minor(f.Uint()))
	case f.CanInt():
		return strconv.FormatInt(f.Int(), 10)
	}
	return strconv.FormatInt(int64(f.Uint()), 10)
}

// runC compiles and runs src. Without a compiler the test is skipped, unless
// it must not be.
func runC(t *testing.T, src string) string {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("no C compiler")
	}
	dir := t.TempDir()
	file, exe := filepath.Join(dir, "layout.c"), filepath.Join(dir, "layout")
	if err := os.WriteFile(file, []byte(src), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(cc, "-O0", "-w", "-o", exe, file).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(exe).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
