package posix

import (
	"syscall"
	"testing"
)

func TestStaleOnce(t *testing.T) {
	for _, c := range []struct {
		name  string
		fails []error
		want  error
		calls int
	}{
		{"well", []error{nil}, nil, 1},
		{"moved once", []error{syscall.ESTALE, nil}, nil, 2},
		{"gone", []error{syscall.ESTALE, syscall.ENOENT}, syscall.ENOENT, 2},
		{"moved for good", []error{syscall.ESTALE, syscall.ESTALE, nil}, syscall.ESTALE, 2},
		{"another error", []error{syscall.EACCES, nil}, syscall.EACCES, 1},
	} {
		n := 0
		_, err := again(func(*Task, *Args) (uint64, error) {
			n++
			return 0, c.fails[n-1]
		})(nil, nil)
		if err != c.want || n != c.calls {
			t.Errorf("%s: %v after %d calls, want %v after %d", c.name, err, n, c.want, c.calls)
		}
	}
}
