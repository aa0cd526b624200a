// Command goroutines has 1,000 goroutines that use files, pipes, clocks and
// processes at once.
package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

func main() {
	dir, err := os.MkdirTemp("", "goroutines")
	check(err)
	defer os.RemoveAll(dir)
	var files, pipes, waits, programs atomic.Int64
	work := []func(int){
		func(i int) { files.Add(file(filepath.Join(dir, fmt.Sprint(i)), i)) },
		func(i int) { pipes.Add(pipe(i)) },
		func(i int) {
			start := time.Now()
			time.Sleep(time.Duration(i%20) * time.Millisecond)
			if time.Since(start) >= time.Duration(i%20)*time.Millisecond {
				waits.Add(1)
			}
		},
		func(i int) {
			if i%20 != 3 {
				files.Add(file(filepath.Join(dir, fmt.Sprint(i)), i))
				return
			}
			cmd := exec.Command(os.Args[0])
			cmd.Env = []string{"CHILD=1"}
			out, err := cmd.Output()
			check(err)
			programs.Add(int64(len(out)))
		},
	}
	var all sync.WaitGroup
	for i := range 1000 {
		all.Go(func() { work[i%len(work)](i) })
	}
	all.Wait()
	fmt.Println(files.Load(), pipes.Load(), waits.Load(), programs.Load())
}

func init() {
	if os.Getenv("CHILD") != "" {
		fmt.Print("child")
		os.Exit(0)
	}
}

// file writes a file, moves it, reads it back.
func file(name string, i int) int64 {
	text := make([]byte, 100+i*7)
	check(os.WriteFile(name, text, 0o600))
	check(os.Rename(name, name+".new"))
	b, err := os.ReadFile(name + ".new")
	check(err)
	check(os.Remove(name + ".new"))
	return int64(len(b))
}

// pipe sends through a pipe what does not fit into it.
func pipe(i int) int64 {
	r, w, err := os.Pipe()
	check(err)
	go func() {
		w.Write(make([]byte, 100_000+i))
		w.Close()
	}()
	n, err := io.Copy(io.Discard, r)
	check(err)
	check(r.Close())
	return n
}

func check(err error) {
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}
