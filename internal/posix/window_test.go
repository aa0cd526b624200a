package posix

import (
	"encoding/binary"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/hati-os/hati/internal/loader"
	"golang.org/x/sys/unix"
)

func TestStringArrays(t *testing.T) {
	task, mem := fileTask(t)
	// The last page of the memory is gone.
	const size = 1 << 20
	end := mem + size - 4096
	if _, err := task.thread.Do1(unix.SYS_MUNMAP, end, 4096); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("b", loader.MaxArgLen-1)
	for name, c := range map[string]struct {
		array  uint64   // where the pointers are
		text   uint64   // where the strings are
		gap    uint64   // between two of them
		list   []string // what is there
		open   bool     // no NULL at the end
		budget uint64
		err    error
	}{
		"close together":         {array: mem, text: mem + 256, list: []string{"a", "", "bc"}, budget: 100},
		"none":                   {array: mem, text: mem, budget: 0},
		"far apart":              {array: mem, text: mem + 8192, gap: 40960, list: []string{"a", "b", "a"}, budget: 100},
		"the array across pages": {array: mem + 4096 - 20, text: mem + 8192, list: []string{"1", "2", "3", "4"}, budget: 100},
		"a string across pages":  {array: mem, text: mem + 8192 - 3, list: []string{"across", "after"}, budget: 100},
		"up to the last byte":    {array: mem, text: end - 8, list: []string{"the", "end"}, budget: 100},
		"the longest":            {array: mem, text: mem + 4095, list: []string{big}, budget: 1 << 20},
		"too long":               {array: mem, text: mem + 4095, list: []string{big + "b"}, budget: 1 << 20, err: syscall.E2BIG},
		"just within":            {array: mem, text: mem + 256, list: []string{"abc", ""}, budget: 12 + 9},
		"just beyond":            {array: mem, text: mem + 256, list: []string{"abc", ""}, budget: 12 + 8, err: syscall.E2BIG},
		"an array without end":   {array: end - 16, text: mem, list: []string{"a", "b"}, open: true, budget: 100, err: syscall.EFAULT},
		"nowhere":                {array: end, open: true, budget: 100, err: syscall.EFAULT},
		"beyond all addresses":   {array: ^uint64(0) - 10, open: true, budget: 100, err: syscall.EFAULT},
	} {
		t.Run(name, func(t *testing.T) {
			at := c.text
			for i, s := range c.list {
				task.place(t, at, s)
				putPointer(t, task, c.array+8*uint64(i), at)
				at += uint64(len(s)) + 1 + c.gap
			}
			if !c.open {
				putPointer(t, task, c.array+8*uint64(len(c.list)), 0)
			}
			budget := c.budget
			got, err := task.copyInStrings(c.array, &budget)
			if err != c.err || err == nil && !slices.Equal(got, c.list) {
				t.Fatalf("got %q, %v; want %q, %v", got, err, c.list, c.err)
			}
		})
	}
	t.Run("a string without end", func(t *testing.T) {
		if err := task.copyOut(end-4, []byte("abcd")); err != nil {
			t.Fatal(err)
		}
		putPointer(t, task, mem, end-4)
		budget := uint64(100)
		if _, err := task.copyInStrings(mem, &budget); err != syscall.EFAULT {
			t.Errorf("error %v", err)
		}
	})
}

func putPointer(t *testing.T, task *Task, at, v uint64) {
	t.Helper()
	if err := task.copyOut(at, binary.LittleEndian.AppendUint64(nil, v)); err != nil {
		t.Fatal(err)
	}
}
