package tty_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// interesting are the characters for random typing: special ones, those that
// take columns in other ways, parts of UTF-8.
const interesting = "ab _\x7f\x7f\x15\x17\x16\x12\x04\r\n\n\t\t\b\x01\x00\xff\xc3\xa9\xe2\x82\xac\x13\x11;,\x03\x1c\x1a"

// random returns a script of random modes, typing, writing and reading.
func random(r *rand.Rand, steps int) func(p *pair) {
	pick := func(flags ...uint32) (set uint32) {
		for _, f := range flags {
			if r.IntN(2) == 0 {
				set |= f
			}
		}
		return set
	}
	var script []func(p *pair)
	modes := func() {
		i := pick(unix.ICRNL, unix.INLCR, unix.IXON, unix.IXANY, unix.IUTF8)
		if r.IntN(4) == 0 {
			i |= pick(unix.IGNCR, unix.ISTRIP, unix.PARMRK, unix.IUCLC, unix.IMAXBEL)
		}
		o := pick(unix.OPOST, unix.ONLCR, unix.OCRNL, unix.ONOCR, unix.ONLRET, unix.OLCUC) | uint32(r.IntN(2))*unix.XTABS
		l := pick(unix.ECHO, unix.ECHOE, unix.ECHOK, unix.ECHOKE, unix.ECHOCTL, unix.ECHONL, unix.IEXTEN, unix.NOFLSH) |
			pick(unix.ECHO, unix.ISIG)
		if r.IntN(4) != 0 {
			l |= unix.ICANON
		}
		if r.IntN(4) == 0 {
			// With ECHOCTL, since without it a VLNEXT after erasing makes Linux
			// echo the last 4096 bytes again, which hati does not.
			l |= unix.ECHOPRT | unix.ECHOCTL
		}
		eol := byte(r.IntN(2)) * ';'
		script = append(script, func(p *pair) {
			p.reads(100) // so that nothing is under way on the host
			p.shown()
			p.set(unix.TCSETS2, func(t *unix.Termios) {
				t.Iflag, t.Oflag, t.Lflag = i, o, l
				t.Cc[unix.VEOL], t.Cc[unix.VEOL2], t.Cc[unix.VMIN] = eol, ',', 1
			})
		})
	}
	modes()
	for range steps {
		switch r.IntN(10) {
		case 0:
			modes()
		case 1, 2:
			n := 1 + r.IntN(20)
			script = append(script, func(p *pair) { p.reads(n); p.shown() })
		case 3:
			b := randomText(r)
			script = append(script, func(p *pair) { p.settle(); p.wrote(b); p.shown() })
		default:
			b := randomText(r)
			script = append(script, func(p *pair) {
				// What a signal flushes depends on how far the host has come:
				// it gets signals by themselves, and with nothing under way.
				for b := b; b != ""; {
					n := strings.IndexAny(b[1:], "\x03\x1c\x1a") + 1
					if n == 0 {
						n = len(b)
					}
					if strings.ContainsAny(b[:1], "\x03\x1c\x1a") {
						p.reads(100)
						p.shown()
					}
					p.typed(b[:n])
					p.shown()
					b = b[n:]
				}
			})
		}
	}
	return func(p *pair) {
		for _, f := range script {
			f(p)
		}
	}
}

func randomText(r *rand.Rand) string {
	b := make([]byte, 1+r.IntN(30))
	for i := range b {
		b[i] = interesting[r.IntN(len(interesting))]
	}
	return string(b)
}

// TestRandom compares random sessions.
func TestRandom(t *testing.T) {
	runs := 100
	if testing.Short() {
		runs = 30
	}
	for seed := range uint64(runs) {
		compare(t, random(rand.New(rand.NewPCG(seed, 1)), 30))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// FuzzSession compares sessions that come from the bytes given.
func FuzzSession(f *testing.F) {
	f.Add(uint64(1), byte(30))
	f.Add(uint64(2), byte(200))
	f.Fuzz(func(t *testing.T, seed uint64, steps byte) {
		compare(t, random(rand.New(rand.NewPCG(seed, 2)), int(steps)))
	})
}
