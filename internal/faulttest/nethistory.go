package faulttest

import (
	"cmp"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// items are the datagrams that were sent to a place, or the connections that were made
// to it: each is there at most once, is taken at most once, and none is lost.
type items struct {
	history
	waiting atomic.Int64 // at most so many

	known sync.Mutex
	all   map[uint64]*item
}

// item is one of them.
type item struct {
	from        uint64 // its sender, whose items stay in their order
	sent, taken span
	sure        bool // it was sent
	here        bool // it was taken
}

type span struct{ from, to int64 }

// itemModel is of one item: 0 not there yet, 1 there, 2 taken. The end finds nothing.
var itemModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		of := map[uint64][]porcupine.Operation{}
		for _, o := range all {
			v := o.Input.(input).value
			of[v] = append(of[v], o)
		}
		for _, part := range of {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return 0 },
	Step: func(state, in, _ any) (bool, any) {
		switch in.(input).op {
		case 's':
			return state == 0, 1
		case 't':
			return state == 1, 2
		}
		return state != 1, state
	},
}

// reserve makes room for n.
func (q *items) reserve(n int) bool {
	if q.waiting.Add(int64(n)) > most {
		q.waiting.Add(-int64(n))
		return false
	}
	return true
}

// send notes an item that was sent, or perhaps.
func (q *items) send(w *worker, number, from uint64, call int64, happened, perhaps bool) {
	if !happened && !perhaps {
		q.waiting.Add(-1)
		return
	}
	back := w.now()
	w.add(&q.history, input{'s', number}, call, output{}, happened, perhaps)
	q.known.Lock()
	defer q.known.Unlock()
	i := q.item(number)
	i.from, i.sure, i.sent = from, happened, span{call, back}
}

// take notes one that came.
func (q *items) take(w *worker, number uint64, call, back int64) {
	q.waiting.Add(-1)
	q.add(porcupine.Operation{ClientId: w.id, Input: input{'t', number}, Call: call, Output: output{}, Return: back})
	q.known.Lock()
	defer q.known.Unlock()
	i := q.item(number)
	i.here, i.taken = true, span{call, back}
}

func (q *items) item(number uint64) *item {
	if q.all == nil {
		q.all = map[uint64]*item{}
	}
	i := q.all[number]
	if i == nil {
		i = &item{}
		q.all[number] = i
	}
	return i
}

// missing are those that were sent for sure, and did not come.
func (q *items) missing() (list []uint64) {
	q.known.Lock()
	defer q.known.Unlock()
	for number, i := range q.all {
		if i.sure && !i.here {
			list = append(list, number)
		}
	}
	return list
}

func (q *items) whole() bool { return len(q.missing()) == 0 }

// check checks the history, whose end was seen if it is whole.
func (q *items) check(t testing.TB, what string, whole bool) {
	t.Helper()
	if whole {
		end := int64(math.MaxInt64 - 1)
		for number := range q.all {
			q.add(porcupine.Operation{ClientId: 2 * Clients, Input: input{'e', number}, Call: end, Output: output{}, Return: end})
		}
	}
	if porcupine.CheckOperationsTimeout(itemModel, q.ops, 10*time.Second) == porcupine.Illegal {
		t.Errorf("the history of %s cannot be: %v", what, q.ops)
	}
	by := map[uint64][]*item{}
	for _, i := range q.all {
		if i.from != 0 && i.here && i.sure {
			by[i.from] = append(by[i.from], i)
		}
	}
	for from, list := range by {
		slices.SortFunc(list, func(a, b *item) int { return cmp.Compare(a.sent.from, b.sent.from) })
		for k := 1; k < len(list); k++ {
			if list[k].taken.to < list[k-1].taken.from {
				t.Errorf("%s of %d overtook each other", what, from)
			}
		}
	}
}

// flow is a connection's bytes, as its two ends know them.
type flow struct {
	sure, doubt int  // bytes that were sent, and that may have been
	made        bool // the sender has done
	got         int
	ended       bool // the receiver has seen the end
}

// flowByte is the byte of a connection at an offset.
func flowByte(number uint64, at int) byte { return byte(number*31 + uint64(at)*7 + uint64(at)>>8) }

func (f *flow) check(t testing.TB, number uint64) {
	t.Helper()
	if f.made && f.ended && (f.got < f.sure || f.got > f.sure+f.doubt) {
		t.Errorf("%d bytes of connection %d came; sent were %d, and perhaps %d", f.got, number, f.sure, f.doubt)
	}
}
