package pipe_test

import (
	"testing"

	"github.com/hati-os/hati/internal/servers/pipe"
)

func BenchmarkWriteRead(b *testing.B) {
	for _, c := range []struct {
		name string
		size int
	}{{"1", 1}, {"4KiB", 4096}, {"64KiB", 65536}} {
		b.Run(c.name, func(b *testing.B) {
			r, w := pipe.New()
			p := make([]byte, c.size)
			b.SetBytes(int64(c.size))
			b.ReportAllocs()
			for b.Loop() {
				if n, err := w.Write(ctx, p, 0); n != len(p) || err != nil {
					b.Fatal(n, err)
				}
				if n, err := r.Read(ctx, p, 0); n != len(p) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkSmallWrites fills a pipe byte by byte and empties it.
func BenchmarkSmallWrites(b *testing.B) {
	r, w := pipe.New()
	p, all := make([]byte, 1), make([]byte, pipe.DefaultSize)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.Write(ctx, p, 0)
		if i++; i%pipe.DefaultSize == 0 {
			r.Read(ctx, all, 0)
		}
	}
}

func BenchmarkPingPong(b *testing.B) {
	r1, w1 := pipe.New()
	r2, w2 := pipe.New()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p := make([]byte, 1)
		for {
			if n, _ := read(r1, p); n == 0 {
				return
			}
			w2.Write(ctx, p, 0)
		}
	}()
	p := make([]byte, 1)
	for b.Loop() {
		w1.Write(ctx, p, 0)
		read(r2, p)
	}
	w1.Close()
	<-done
}

func BenchmarkSplice(b *testing.B) {
	r1, w1 := pipe.New()
	r2, w2 := pipe.New()
	p := make([]byte, pipe.DefaultSize)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	w1.Write(ctx, p, 0)
	for b.Loop() {
		if n, err := pipe.Splice(w2, r1, len(p)); n != len(p) || err != nil {
			b.Fatal(n, err)
		}
		r1, r2, w1, w2 = r2, r1, w2, w1
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		r, w := pipe.New()
		r.Close()
		w.Close()
	}
}
