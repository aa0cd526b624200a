package tty

// fifo is a queue of bytes. Its memory is kept for the next ones.
type fifo struct {
	buf  []byte
	head int // of what is left
}

func (f *fifo) len() int { return len(f.buf) - f.head }

// bytes returns the content, valid until the next call.
func (f *fifo) bytes() []byte { return f.buf[f.head:] }

func (f *fifo) discard(n int) {
	f.head += n
	if f.head == len(f.buf) {
		f.buf, f.head = f.buf[:0], 0
	}
}

// truncate keeps the first n bytes.
func (f *fifo) truncate(n int) {
	if f.len() > n {
		f.buf = f.buf[:f.head+n]
	}
}

// room moves the content to the front when that saves growing.
func (f *fifo) room(n int) {
	if f.head > 0 && len(f.buf)+n > cap(f.buf) {
		f.buf = f.buf[:copy(f.buf, f.buf[f.head:])]
		f.head = 0
	}
}

func (f *fifo) write(p []byte) {
	f.room(len(p))
	f.buf = append(f.buf, p...)
}

func (f *fifo) put(c byte) {
	f.room(1)
	f.buf = append(f.buf, c)
}
