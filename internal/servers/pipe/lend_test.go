package pipe_test

import (
	"context"
	"os"
	"sync"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/servers/pipe"
	"golang.org/x/sys/unix"
)

// A loan that begins while another one ends is recalled like any.
func TestLoansComeAndGo(t *testing.T) {
	for i := range 2000 {
		r, w := pipe.New()
		first, err := w.Lend(context.Background(), true, func() {})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(first.Return)
		recalled := make(chan bool, 1)
		second, err := r.Lend(context.Background(), true, func() { recalled <- true })
		wg.Wait()
		if err != nil {
			t.Fatal(err)
		}
		done := w.Unhost(func() {})
		select {
		case <-recalled:
		default:
			t.Fatalf("round %d: a loan is not known any more", i)
		}
		select {
		case <-done:
			t.Fatalf("round %d: the pipe is ours while it is lent", i)
		default:
		}
		second.Return()
		<-done
		r.Close()
		w.Close()
	}
}

// Who has a read under way counts as reader, whatever we have closed.
func TestReaderOfTheHostOnly(t *testing.T) {
	r, w := pipe.New()
	defer w.Close()
	l, err := r.Lend(context.Background(), true, func() {})
	if err != nil {
		t.Fatal(err)
	}
	process, err := unix.FcntlInt(uintptr(l.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	l.Return()
	r.Close()
	if n, err := w.Write(context.Background(), []byte("on"), 0); n != 2 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	var b [9]byte
	if n, err := unix.Read(process, b[:]); n != 2 || err != nil {
		t.Errorf("read: %d, %v", n, err)
	}
	unix.Close(process)
	if _, err := w.Write(context.Background(), []byte("on"), 0); err != syscall.EPIPE {
		t.Errorf("write without a reader: %v", err)
	}
}

// Pipes leave descriptors for others, however many there are.
func TestPipesLeaveDescriptors(t *testing.T) {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	few := was
	few.Cur = min(few.Cur, 256)
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}
	defer unix.Setrlimit(unix.RLIMIT_NOFILE, &was)
	refused := 0
	for range 100 {
		for _, e := range ends(pipe.New()) {
			defer e.Close()
			l, err := e.Lend(context.Background(), true, func() {})
			if err != nil {
				refused++
				continue
			}
			defer l.Return()
		}
	}
	f, err := os.Open("lend_test.go")
	if err != nil || refused == 0 {
		t.Fatalf("%v, and %d were refused", err, refused)
	}
	f.Close()
}

func ends(r, w *pipe.End) []*pipe.End { return []*pipe.End{r, w} }
