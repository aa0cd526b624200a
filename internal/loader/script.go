package loader

import (
	"bytes"
	"syscall"
)

// ScriptHead is how many bytes of a file the kernel looks at for a "#!" line
// (BINPRM_BUF_SIZE).
const ScriptHead = 256

// MaxInterpreters is how many scripts may be each other's interpreter; one
// more is ELOOP.
const MaxInterpreters = 5

// Script reads the "#!" line at the beginning of a file, of which head has the
// first ScriptHead bytes, or all. ok is false when the file is not a script.
// args has the one argument that the line may give, which may be empty. The
// new argv is interp, args, the script's path, and the old argv without its
// first. Errors are ENOEXEC: no interpreter, or one that is cut off.
func Script(head []byte) (interp string, args []string, ok bool, err error) {
	if len(head) < 2 || head[0] != '#' || head[1] != '!' {
		return "", nil, false, nil
	}
	// The kernel's buffer: zeros follow a short file. Its rules are those of
	// load_script in C, NULs included; last is the buffer's last byte, where
	// the line ends at the latest.
	var buf [ScriptHead]byte
	copy(buf[:], head)
	const last = ScriptHead - 1
	end := lineEnd(buf[:])
	if end < 0 {
		begin := index(buf[:], 2, last, notBlank)
		if begin < 0 || index(buf[:], begin, last, blankOrNUL) < 0 {
			return "", nil, true, invalid(syscall.ENOEXEC, "no interpreter in the first %d bytes", ScriptHead)
		}
		end = last
	}
	for blank(buf[end-1]) {
		end--
	}
	name := index(buf[:], 2, end, notBlank)
	if name < 0 || name == end {
		return "", nil, true, invalid(syscall.ENOEXEC, "no interpreter after #!")
	}
	sep := index(buf[:], name, end, blankOrNUL)
	arg := -1
	if sep >= 0 && buf[sep] != 0 {
		arg = index(buf[:], sep, end, notBlank)
	}
	buf[end] = 0
	if arg >= 0 {
		buf[sep] = 0
		args = []string{cString(buf[arg:])}
	}
	return cString(buf[name:]), args, true, nil
}

// lineEnd is where the first line ends, or -1 if it does not before a NUL.
func lineEnd(buf []byte) int {
	i := bytes.IndexAny(buf, "\n\x00")
	if i < 0 || buf[i] == 0 {
		return -1
	}
	return i
}

func blank(c byte) bool      { return c == ' ' || c == '\t' }
func notBlank(c byte) bool   { return !blank(c) }
func blankOrNUL(c byte) bool { return blank(c) || c == 0 }

// index is the first place from first to last (included) of which is true.
func index(buf []byte, first, last int, is func(byte) bool) int {
	for i := first; i <= last; i++ {
		if is(buf[i]) {
			return i
		}
	}
	return -1
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
