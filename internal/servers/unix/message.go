package unixsock

import (
	"math/bits"
	"sync"
)

// message is what lies in a receive queue: bytes with what came along, or a
// connection that waits to be accepted.
type message struct {
	next   *message
	data   []byte
	off    int // bytes of data that were read
	class  int
	peeked bool
	charge int64
	from   *Socket
	cred   Cred
	refs   []Ref
	conn   *Socket
}

func (m *message) left() []byte { return m.data[m.off:] }

// Messages are pooled with their buffers, by size.
var classes = [...]int{64, 256, 1024, 4096, 16384, streamChunk, 65536, defaultBuf}

var messages [len(classes)]sync.Pool

// newMessage returns a message with n bytes of data, of any content.
func newMessage(n int) *message {
	class := 0
	for class < len(classes) && classes[class] < n {
		class++
	}
	if class == len(classes) {
		return &message{data: make([]byte, n), class: class}
	}
	m, _ := messages[class].Get().(*message)
	if m == nil {
		m = &message{data: make([]byte, classes[class]), class: class}
	}
	m.data = m.data[:n]
	return m
}

// free ends a message whose charge and references are gone.
func (m *message) free() {
	if m.class < len(classes) {
		*m = message{data: m.data, class: m.class}
		messages[m.class].Put(m)
	}
}

// queue is a list of messages.
type queue struct {
	first, last *message
	n           int
	bytes       int
}

func (q *queue) push(m *message) {
	m.next = nil
	if q.last != nil {
		q.last.next = m
	} else {
		q.first = m
	}
	q.last = m
	q.n++
	q.bytes += len(m.data)
}

func (q *queue) pop() *message {
	m := q.first
	q.first = m.next
	if q.first == nil {
		q.last = nil
	}
	m.next = nil
	q.n--
	q.bytes -= len(m.left())
	return m
}

// takeAll empties the queue and returns its first message.
func (q *queue) takeAll() *message {
	m := q.first
	*q = queue{}
	return m
}

const (
	pageSize = 4096
	// What Linux puts around the bytes of a socket buffer.
	bufHead, bufTail = 256, 320
	// The largest head that a stream's and a datagram's buffer get; the rest lies
	// in pages.
	streamHead  = pageSize - bufTail
	dgramHead   = 4*pageSize - bufTail
	dgramPages  = 17 * pageSize
	streamChunk = streamHead + 32768
)

// streamCharge is what Linux counts for n bytes, at most streamChunk, of a
// stream.
func streamCharge(n int) int64 {
	pages := min(n, pageAlign(max(0, n-streamHead)))
	return charge(n-pages, pages)
}

// dgramCharge is what Linux counts for a datagram of n bytes.
func dgramCharge(n int) int64 {
	pages := pageAlign(min(max(0, n-dgramHead), dgramPages))
	return charge(n-pages, pages)
}

func charge(head, pages int) int64 {
	size := (head+63)&^63 + bufTail
	size = max(512, 1<<bits.Len(uint(size-1)))
	return int64(bufHead + size + pageAlign(pages))
}

func pageAlign(n int) int { return (n + pageSize - 1) &^ (pageSize - 1) }
