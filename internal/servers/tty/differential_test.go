package tty_test

import (
	"strings"
	"testing"

	"github.com/hati-os/hati/vfs"
	"golang.org/x/sys/unix"
)

// flags returns a function that sets and clears local flags.
func local(set, clear uint32) func(*unix.Termios) {
	return func(t *unix.Termios) { t.Lflag = t.Lflag&^clear | set }
}

func input(set, clear uint32) func(*unix.Termios) {
	return func(t *unix.Termios) { t.Iflag = t.Iflag&^clear | set }
}

func output(set, clear uint32) func(*unix.Termios) {
	return func(t *unix.Termios) { t.Oflag = t.Oflag&^clear | set }
}

func char(i int, c byte) func(*unix.Termios) {
	return func(t *unix.Termios) { t.Cc[i] = c }
}

// TestTyping types and reads lines in many modes, and compares what is read and
// shown with the host's terminal.
func TestTyping(t *testing.T) {
	for _, c := range []struct {
		name  string
		modes []func(*unix.Termios)
		typed []string
	}{
		{"lines", nil, []string{"hello\n", "wor", "ld\r", "\r\n\n"}},
		{"erase", nil, []string{"abc\x7f\x7fx\n", "\x7f\x7fa\n", "a\x01b\x7f\x7f\x7fc\n"}},
		{"erase utf8", []func(*unix.Termios){input(unix.IUTF8, 0)}, []string{"aé€\x7f\x7fb\n", "€\x7f\n", "\xa9\xa9\x7f\n"}},
		{"erase without utf8", nil, []string{"aé\x7fb\n"}},
		{"erase tabs", nil, []string{"a\tb\t\x7f\x7f\x7fc\n", "\t\t\x7f\x7f\n", "ab\x01\tc\t\x7f\x7f\x7fd\n"}},
		{"erase tab after output", nil, []string{"a\tb\x7f\x7f\n"}},
		{"no ECHOE", []func(*unix.Termios){local(0, unix.ECHOE)}, []string{"abc\x7f\x7f\n", "abc\x15x\n", "ab cd\x17\n"}},
		{"ECHOPRT", []func(*unix.Termios){local(unix.ECHOPRT, 0)}, []string{"abc\x7f\x7fd\n", "ab cd\x17\x7fx\n", "a\x7f\x7f\n", "ab\x15c\n"}},
		{"ECHOPRT utf8", []func(*unix.Termios){local(unix.ECHOPRT, 0), input(unix.IUTF8, 0)}, []string{"aé€\x7f\x7fd\n"}},
		{"kill", nil, []string{"some words\x15other\n", "\x15\n", "a\t\x01b\x15c\n"}},
		{"kill without ECHOKE", []func(*unix.Termios){local(0, unix.ECHOKE)}, []string{"some\x15other\n"}},
		{"kill without ECHOK", []func(*unix.Termios){local(0, unix.ECHOK)}, []string{"some\x15other\n"}},
		{"kill without ECHO", []func(*unix.Termios){local(0, unix.ECHO)}, []string{"some\x15other\n"}},
		{"word", nil, []string{"one two_2  \x17x\n", "a.b.c\x17\x17d\n", "\x17\n", "na\xefve \xd7\xe9\x17\n"}},
		{"lnext", nil, []string{"a\x16\x7fb\n", "\x16\x03\x16\x16\x16\n\n", "\x16", "\x04x\n", "\x16\x7f\x7f\n"}},
		{"lnext without ECHOCTL", []func(*unix.Termios){local(0, unix.ECHOCTL)}, []string{"a\x16\x01b\x01\x7f\x7f\n"}},
		{"reprint", nil, []string{"abc\x12d\n", "a\x01\tb\x12\n", "\x12\n"}},
		{"eof", nil, []string{"\x04", "abc\x04", "x\x04\x04", "def\n\x04\n"}},
		{"eol", []func(*unix.Termios){char(unix.VEOL, ';'), char(unix.VEOL2, ',')}, []string{"a;b,c\n", ";;,"}},
		{"eol2 without IEXTEN", []func(*unix.Termios){char(unix.VEOL2, ','), local(0, unix.IEXTEN)}, []string{"a,b\x17\x16\x12\n"}},
		{"no ECHO", []func(*unix.Termios){local(0, unix.ECHO)}, []string{"abc\x7fd\n", "\x16\x04\n"}},
		{"ECHONL", []func(*unix.Termios){local(unix.ECHONL, unix.ECHO)}, []string{"abc\x7f\nd\n"}},
		{"no ECHOCTL", []func(*unix.Termios){local(0, unix.ECHOCTL)}, []string{"a\x01b\x7f\x7f\n"}},
		{"signals", nil, []string{"\x03", "abc", "\x03", "def\n", "\x1c", "\x1a\n"}},
		{"signals in one batch", nil, []string{"abc\x03def\n"}},
		{"signals without echo", []func(*unix.Termios){local(0, unix.ECHO)}, []string{"abc\n", "\x03", "def\n"}},
		{"NOFLSH", []func(*unix.Termios){local(unix.NOFLSH, 0)}, []string{"abc", "\x03", "def\n"}},
		{"no ISIG", []func(*unix.Termios){local(0, unix.ISIG)}, []string{"a\x03\x1c\x1a\n"}},
		{"IGNCR", []func(*unix.Termios){input(unix.IGNCR, 0)}, []string{"a\rb\n"}},
		{"INLCR", []func(*unix.Termios){input(unix.INLCR, unix.ICRNL)}, []string{"a\rb\n\x04"}},
		{"ICRNL and INLCR", []func(*unix.Termios){input(unix.INLCR|unix.ICRNL, 0)}, []string{"a\rb\nc\r"}},
		{"ISTRIP", []func(*unix.Termios){input(unix.ISTRIP, 0)}, []string{"\xe1\xe2\x8a"}},
		{"IUCLC", []func(*unix.Termios){input(unix.IUCLC, 0)}, []string{"ABc\xc9\n"}},
		{"PARMRK", []func(*unix.Termios){input(unix.PARMRK, 0)}, []string{"a\xffb\x7f\x7f\n"}},
		{"0377", nil, []string{"a\xff\xffb\x7f\x7f\n"}},
		{"flow", nil, []string{"a\x13b", "c\x11d\n", "\x13\x13", "x\n", "\x11"}},
		{"IXANY", []func(*unix.Termios){input(unix.IXANY, 0)}, []string{"a\x13", "b\n", "\x13", "\x03"}},
		{"no IXON", []func(*unix.Termios){input(0, unix.IXON)}, []string{"a\x13\x11\n"}},
		{"disabled characters", []func(*unix.Termios){char(unix.VERASE, 0), char(unix.VINTR, 0), char(unix.VEOF, 0)},
			[]string{"a\x7f\x00\x03\x04\n"}},
		{"EXTPROC", []func(*unix.Termios){local(unix.EXTPROC, 0)}, []string{"ab\x7f\n\x04"}},
		{"EXTPROC and ISTRIP", []func(*unix.Termios){local(unix.EXTPROC, 0), input(unix.ISTRIP, 0)}, []string{"\xe1b\x7f\n"}},
		{"raw", []func(*unix.Termios){local(0, unix.ICANON|unix.ECHO|unix.ISIG), input(0, unix.IXON|unix.ICRNL)},
			[]string{"a\x03\x04\r\n\x7f\x13"}},
		{"cbreak", []func(*unix.Termios){local(0, unix.ICANON)}, []string{"ab\x7f\r\n\x04\x16", "\x01\t\x03x"}},
		{"OLCUC", []func(*unix.Termios){output(unix.OLCUC, 0)}, []string{"abc\xe9\n"}},
		{"XTABS", []func(*unix.Termios){output(unix.XTABS, 0)}, []string{"a\tbc\t\x7f\x7f\n"}},
		{"no OPOST", []func(*unix.Termios){output(0, unix.OPOST)}, []string{"a\tb\nc\x01\xff\x7f\n"}},
		{"ONLRET", []func(*unix.Termios){output(unix.ONLRET, unix.ONLCR)}, []string{"a\tb\n\tc\x7f\x7f\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			compare(t, func(p *pair) {
				for _, f := range c.modes {
					p.set(unix.TCSETS2, f)
				}
				for _, s := range c.typed {
					p.typed(s)
					p.shown()
					p.settle()
					p.ready()
				}
				p.reads(100)
				p.shown()
				p.wrote("after\n\t")
				p.shown()
				p.typed("\tx\x7f\x7fz\n")
				p.shown()
				p.reads(3)
			})
		})
	}
}

// TestOutput compares output processing.
func TestOutput(t *testing.T) {
	texts := []string{"plain\n", "a\r\nb\rc\n\r\r\n", "\t12\t1234567\t\b\tx\n", "é\t€\t\x01\t\x7f\xff\tq", "\r", "\n\tend"}
	for _, c := range []struct {
		name  string
		modes []func(*unix.Termios)
	}{
		{"usual", nil},
		{"raw", []func(*unix.Termios){output(0, unix.OPOST)}},
		{"no ONLCR", []func(*unix.Termios){output(0, unix.ONLCR)}},
		{"OCRNL", []func(*unix.Termios){output(unix.OCRNL, unix.ONLCR)}},
		{"OCRNL ONLRET", []func(*unix.Termios){output(unix.OCRNL|unix.ONLRET, 0)}},
		{"ONOCR", []func(*unix.Termios){output(unix.ONOCR, 0)}},
		{"ONLRET ONOCR", []func(*unix.Termios){output(unix.ONLRET|unix.ONOCR, unix.ONLCR)}},
		{"XTABS", []func(*unix.Termios){output(unix.XTABS, 0)}},
		{"XTABS ONLRET", []func(*unix.Termios){output(unix.XTABS|unix.ONLRET, unix.ONLCR)}},
		{"XTABS utf8", []func(*unix.Termios){output(unix.XTABS, 0), input(unix.IUTF8, 0)}},
		{"OLCUC XTABS", []func(*unix.Termios){output(unix.XTABS|unix.OLCUC, 0), input(unix.IUTF8, 0)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			compare(t, func(p *pair) {
				for _, f := range c.modes {
					p.set(unix.TCSETS2, f)
				}
				for _, s := range texts {
					p.wrote(s)
					p.shown()
				}
			})
		})
	}
}

// TestReading compares reads of other sizes than the lines have.
func TestReading(t *testing.T) {
	for _, size := range []int{1, 2, 3, 5, 6, 7, 100} {
		compare(t, func(p *pair) {
			p.typed("hello\nab\x04cde\x04\x04fghij\x04\n")
			p.shown()
			p.asks(p.slave, unix.TIOCINQ)
			p.readOnce(size)
			p.asks(p.slave, unix.TIOCINQ)
			p.readOnce(0)
			p.reads(size)
		})
	}
}

// TestModeChanges changes modes with input under way.
func TestModeChanges(t *testing.T) {
	canon := func(on bool) func(*unix.Termios) {
		if on {
			return local(unix.ICANON, 0)
		}
		return local(0, unix.ICANON)
	}
	for _, cmd := range []uint32{unix.TCSETS2, unix.TCSETSW2, unix.TCSETSF2} {
		compare(t, func(p *pair) {
			p.typed("line\npart\x04ial")
			p.shown()
			p.set(cmd, canon(false))
			p.ready()
			p.asks(p.slave, unix.TIOCINQ)
			p.readOnce(7)
			p.set(cmd, canon(true))
			p.ready()
			p.typed("more\n")
			p.shown()
			p.reads(100)
			p.set(cmd, canon(false))
			p.set(cmd, canon(true))
			p.typed("x\x16")
			p.shown()
			p.set(cmd, canon(false))
			p.typed("\x04")
			p.shown()
			p.reads(100)
			p.typed("\x13")
			p.shown()
			p.wrote("stopped")
			p.set(cmd, input(0, unix.IXON))
			p.wrote("going")
			p.shown()
		})
	}
}

// TestMinTime compares VMIN and VTIME where they show without waiting.
func TestMinTime(t *testing.T) {
	for _, vmin := range []byte{0, 1, 5} {
		for _, vtime := range []byte{0, 3} {
			compare(t, func(p *pair) {
				p.set(unix.TCSETS2, func(t *unix.Termios) {
					t.Lflag &^= unix.ICANON | unix.ECHO
					t.Cc[unix.VMIN], t.Cc[unix.VTIME] = vmin, vtime
				})
				p.ready()
				p.readOnce(10)
				p.typed("abc")
				p.shown()
				p.ready()
				p.typed("def")
				p.shown()
				p.ready()
				p.readOnce(2)
				p.ready()
				p.reads(10)
			})
		}
	}
}

// TestLongLine fills the line discipline's buffer.
func TestLongLine(t *testing.T) {
	for _, canonical := range []bool{true, false} {
		for _, n := range []int{4094, 4095, 4096, 4097, 5000} {
			compare(t, func(p *pair) {
				p.set(unix.TCSETS2, local(0, unix.ECHO))
				if !canonical {
					p.set(unix.TCSETS2, local(0, unix.ICANON))
				}
				p.typed(strings.Repeat("a", n-3) + "xyz")
				p.shown()
				p.ready()
				p.typed("\n")
				p.shown()
				p.reads(2000)
				p.typed("next\n")
				p.shown()
				p.reads(2000)
			})
		}
	}
	// Whole lines fill it: later ones wait until there is room.
	compare(t, func(p *pair) {
		p.set(unix.TCSETS2, local(0, unix.ECHO))
		for range 60 {
			p.typed(strings.Repeat("b", 99) + "\n")
		}
		p.reads(1000)
	})
}

// TestPacketMode compares what a master in packet mode is told.
func TestPacketMode(t *testing.T) {
	compare(t, func(p *pair) {
		p.does(p.master, unix.TIOCPKT, memArg{1, 0, 0, 0})
		p.asks(p.master, unix.TIOCGPKT)
		step := func() {
			p.ready()
			p.shown()
		}
		p.wrote("data\n")
		step()
		p.typed("\x13")
		step()
		p.typed("\x11")
		step()
		p.typed("\x03")
		step()
		p.set(unix.TCSETS2, input(0, unix.IXON))
		step()
		p.set(unix.TCSETS2, input(unix.IXON, 0))
		step()
		p.set(unix.TCSETS2, char(unix.VSTOP, 'x'))
		step()
		p.set(unix.TCSETS2, local(unix.EXTPROC, 0))
		step()
		p.set(unix.TCSETS2, local(0, unix.EXTPROC))
		step()
		for _, q := range []uint64{unix.TCIFLUSH, unix.TCOFLUSH, unix.TCIOFLUSH} {
			p.does(p.slave, unix.TCFLSH, numArg(q))
			step()
		}
		p.does(p.slave, unix.TCXONC, numArg(unix.TCOOFF))
		step()
		p.does(p.slave, unix.TCXONC, numArg(unix.TCOON))
		step()
		p.does(p.master, unix.TIOCPKT, memArg{0, 0, 0, 0})
		p.wrote("plain\n")
		step()
	})
}

// TestIoctls compares answers and errors.
func TestIoctls(t *testing.T) {
	compare(t, func(p *pair) {
		for _, end := range []side{p.slave, p.master} {
			for _, cmd := range []uint32{unix.TCGETS, unix.TCGETS2, 0x5405, unix.TIOCGWINSZ, unix.TIOCINQ, unix.TIOCOUTQ,
				unix.TIOCGETD, unix.TIOCGEXCL, unix.TIOCMGET, unix.TIOCGSOFTCAR, unix.TIOCGPKT, unix.TIOCGPTLCK,
				unix.TIOCGSERIAL, unix.TIOCGICOUNT, 0x5456, unix.TIOCGRS485, 0x5460, 0x54ff} {
				p.asks(end, cmd)
			}
			p.does(end, unix.TIOCSWINSZ, memArg{24, 0, 80, 0, 1, 0, 2, 0})
			p.asks(p.slave, unix.TIOCGWINSZ)
			p.asks(p.master, unix.TIOCGWINSZ)
			for _, v := range []uint64{0, 1, 2, 3, 4, 99} {
				p.does(end, unix.TCFLSH, numArg(v))
				p.does(end, unix.TCXONC, numArg(v))
				p.shown()
				p.reads(10)
			}
			p.does(end, unix.TCSBRK, numArg(1))
			p.does(end, 0x5425, numArg(1))
			p.does(end, unix.TIOCSBRK, numArg(0))
			p.does(end, unix.TIOCCBRK, numArg(0))
			p.does(end, unix.TIOCSETD, memArg{0, 0, 0, 0})
			p.does(end, unix.TIOCEXCL, numArg(0))
			p.asks(end, unix.TIOCGEXCL)
			p.does(end, unix.TIOCNXCL, numArg(0))
			p.does(end, unix.TIOCSSOFTCAR, memArg{1, 0, 0, 0})
			p.asks(p.slave, unix.TCGETS2)
			p.does(end, unix.TIOCSSOFTCAR, memArg{0, 0, 0, 0})
			p.does(end, unix.TIOCMSET, memArg{0, 0, 0, 0})
			p.does(end, unix.TIOCPKT, memArg{0, 0, 0, 0})
			p.does(end, unix.TIOCSPTLCK, memArg{0, 0, 0, 0})
		}
	})
}

// TestExtprocEOF reads a VEOF that stands alone and one that does not.
func TestExtprocEOF(t *testing.T) {
	compare(t, func(p *pair) {
		p.set(unix.TCSETS2, local(unix.EXTPROC, unix.ECHO))
		for _, s := range []string{"\x04", "a\x04", "\x04\x04"} {
			p.typed(s)
			p.shown()
			p.asks(p.slave, unix.TIOCINQ)
			p.readOnce(1)
			p.readOnce(1)
			p.readOnce(1)
		}
	})
}

// TestSpeeds compares what becomes of odd modes.
func TestSpeeds(t *testing.T) {
	compare(t, func(p *pair) {
		for _, c := range []uint32{unix.B0, unix.B50, unix.B9600, unix.B115200, unix.B4000000, unix.BOTHER,
			unix.B9600 | unix.B300<<16, unix.B9600 | unix.BOTHER<<16} {
			p.set(unix.TCSETS2, func(t *unix.Termios) {
				t.Cflag = t.Cflag&^(unix.CBAUD|unix.CBAUD<<16) | c
				t.Ispeed, t.Ospeed = 1234, 5678
			})
		}
		p.set(unix.TCSETS2, func(t *unix.Termios) { t.Cflag = unix.CS7 | unix.PARENB | unix.CSTOPB | unix.B9600 })
		p.set(unix.TCSETS, func(t *unix.Termios) { t.Iflag, t.Oflag, t.Cflag, t.Lflag = 1<<31, 1<<30, 0, 1<<29 })
		old := memArg{0, 5, 1, 0, 0xbf, 0, 0x3b, 0x8a, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0}
		p.does(p.slave, 0x5406, old)
		p.asks(p.slave, unix.TCGETS2)
		p.asks(p.slave, 0x5405)
	})
}

// TestClosing closes and opens the slave under the master.
func TestClosing(t *testing.T) {
	compare(t, func(p *pair) {
		p.typed("unread\n")
		p.shown()
		p.wrote("last words\n")
		second, err := p.openSlave()
		p.log("second %s", errName(err))
		p.slave.close()
		p.slave = second
		p.shown()
		p.ready()
		p.wrote("really\n")
		p.slave.close()
		p.slave = nil
		show := func() {
			buf := make([]byte, 100)
			for range 3 {
				n, err := p.master.read(buf)
				p.log("read %q %s", buf[:max(n, 0)], errName(err))
			}
			p.log("ready %#x", p.master.poll())
		}
		show()
		p.typed("into the void")
		p.slave, err = p.openSlave()
		p.log("again %s", errName(err))
		p.log("ready %#x", p.master.poll()&^vfs.EventsIn)
		p.typed("\n")
		p.shown()
		p.reads(100)
	})
}

// TestMasterCloses hangs the slave up.
func TestMasterCloses(t *testing.T) {
	compare(t, func(p *pair) {
		p.typed("unread\n")
		p.shown()
		p.master.close()
		p.master = nil
		p.readOnce(10)
		p.wrote("x")
		p.log("ready %#x", p.slave.poll())
		p.asks(p.slave, unix.TCGETS)
		p.asks(p.slave, unix.TIOCINQ)
		p.asks(p.slave, 0x54ff)
		_, err := p.openSlave()
		if err != nil { // the host's name is gone, or another's
			err = nil
		}
	})
}
