package tty

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// termios is Linux's struct termios2.
type termios struct {
	iflag, oflag, cflag, lflag uint32
	line                       byte
	cc                         [19]byte
	ispeed, ospeed             uint32
}

// Sizes of the structures that ioctls carry.
const (
	sizeTermios  = 36
	sizeTermios2 = 44
	sizeTermio   = 18
)

// Flags that x/sys lacks, or that are shorter here.
const (
	tostop  = unix.TOSTOP
	iuclc   = 0x200
	olcuc   = 0x2
	tabdly  = 0x1800
	xtabs   = 0x1800
	ibshift = 16
)

// disabled is the character that stands for none.
const disabled = 0

// firstModes are what a new pseudo-terminal has.
var firstModes = termios{
	iflag: unix.ICRNL | unix.IXON,
	oflag: unix.OPOST | unix.ONLCR,
	cflag: unix.B38400 | unix.CS8 | unix.CREAD,
	lflag: unix.ISIG | unix.ICANON | unix.ECHO | unix.ECHOE | unix.ECHOK | unix.ECHOCTL | unix.ECHOKE | unix.IEXTEN,
	cc: [19]byte{
		unix.VINTR: 'c' & 0x1f, unix.VQUIT: '\\' & 0x1f, unix.VERASE: 0x7f, unix.VKILL: 'u' & 0x1f,
		unix.VEOF: 'd' & 0x1f, unix.VMIN: 1, unix.VSTART: 'q' & 0x1f, unix.VSTOP: 's' & 0x1f,
		unix.VSUSP: 'z' & 0x1f, unix.VREPRINT: 'r' & 0x1f, unix.VDISCARD: 'o' & 0x1f,
		unix.VWERASE: 'w' & 0x1f, unix.VLNEXT: 'v' & 0x1f,
	},
	ispeed: 38400, ospeed: 38400,
}

// encode writes struct termios2, of which struct termios is the beginning.
func (t *termios) encode(b *[sizeTermios2]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[0:], t.iflag)
	le.PutUint32(b[4:], t.oflag)
	le.PutUint32(b[8:], t.cflag)
	le.PutUint32(b[12:], t.lflag)
	b[16] = t.line
	copy(b[17:], t.cc[:])
	le.PutUint32(b[36:], t.ispeed)
	le.PutUint32(b[40:], t.ospeed)
}

// decode reads what encode wrote, or the shorter struct termios.
func (t *termios) decode(b []byte) {
	le := binary.LittleEndian
	t.iflag, t.oflag = le.Uint32(b[0:]), le.Uint32(b[4:])
	t.cflag, t.lflag = le.Uint32(b[8:]), le.Uint32(b[12:])
	t.line = b[16]
	copy(t.cc[:], b[17:36])
	if len(b) >= sizeTermios2 {
		t.ispeed, t.ospeed = le.Uint32(b[36:]), le.Uint32(b[40:])
	}
}

// encodeOld writes struct termio, which has the low halves of the flags and
// eight characters.
func (t *termios) encodeOld(b *[sizeTermio]byte) {
	le := binary.LittleEndian
	le.PutUint16(b[0:], uint16(t.iflag))
	le.PutUint16(b[2:], uint16(t.oflag))
	le.PutUint16(b[4:], uint16(t.cflag))
	le.PutUint16(b[6:], uint16(t.lflag))
	b[8] = t.line
	copy(b[9:17], t.cc[:])
}

// decodeOld reads struct termio; what that lacks stays.
func (t *termios) decodeOld(b []byte) {
	low := func(f *uint32, at int) {
		*f = *f&^0xffff | uint32(binary.LittleEndian.Uint16(b[at:]))
	}
	low(&t.iflag, 0)
	low(&t.oflag, 2)
	low(&t.cflag, 4)
	low(&t.lflag, 6)
	t.line = b[8]
	copy(t.cc[:8], b[9:17])
}

// bauds are the speeds of the CBAUD codes; those after the 15th are told by
// CBAUDEX.
var bauds = [...]uint32{0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
	57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000,
	3000000, 3500000, 4000000}

// speed translates a CBAUD code; other is the speed that BOTHER stands for.
func speed(code, other uint32) uint32 {
	if code == unix.BOTHER {
		return other
	}
	if code&unix.CBAUDEX != 0 {
		code = code&^unix.CBAUDEX + 15
	}
	if int(code) < len(bauds) {
		return bauds[code]
	}
	return 0
}

// settle makes of the modes that were asked for those that a pseudo-terminal
// has: eight bits without parity, and speeds that say what the codes say.
func (t *termios) settle() {
	t.ospeed = speed(t.cflag&unix.CBAUD, t.ospeed)
	if code := t.cflag >> ibshift & unix.CBAUD; code == unix.B0 {
		t.ispeed = t.ospeed
	} else {
		t.ispeed = speed(code, t.ispeed)
	}
	t.cflag = t.cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
}
