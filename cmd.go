package hati

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/hati-os/hati/internal/posix"
	"github.com/hati-os/hati/internal/servers/hostio"
)

// Cmd is a program that is to run, or runs, in a box. Its fields are those of
// os/exec's Cmd. It cannot be used again after Run, Start or Wait.
type Cmd struct {
	// Path is the program; without a slash it is looked for in PATH.
	Path string
	// Args are the arguments, the program's name included.
	Args []string
	// Env is the environment; nil is this process's own.
	Env []string
	// Dir is the working directory; "" is this process's own if the box has it,
	// else the box's root.
	Dir string
	// Stdin, Stdout and Stderr are as in os/exec: nil is the box's /dev/null, an
	// *os.File is handed to the program itself, anything else is copied.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// User overrides the box's.
	User *User
	// Cancel is called when a context given to CommandContext ends.
	Cancel func() error

	// Process is the program once it has started; ProcessState once it has ended.
	Process      *Process
	ProcessState *ProcessState

	box     *Box
	ctx     context.Context
	parent  []io.Closer // closed when the program has ended
	child   []io.Closer // closed once the program has them
	copies  []func() error
	copied  chan error
	started bool
	waited  bool
	watch   chan error
}

// ErrNotFound: there is no such program in the box.
var ErrNotFound = errors.New("executable file not found")

// Error is a program that could not be started.
type Error struct {
	Name string
	Err  error
}

func (e *Error) Error() string { return "hati: " + strconv.Quote(e.Name) + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ExitError is a program that ended with something else than status 0.
type ExitError struct {
	*ProcessState
	// Stderr is what Output found there.
	Stderr []byte
}

func (e *ExitError) Error() string { return e.ProcessState.String() }

// Run starts the program and waits until it has ended.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Start starts the program.
func (c *Cmd) Start() error {
	if c.started {
		return errors.New("hati: already started")
	}
	c.started = true
	if c.ctx != nil && c.ctx.Err() != nil {
		c.close()
		return context.Cause(c.ctx)
	}
	p, err := c.start()
	closeAll(c.child)
	if err != nil {
		c.close()
		return err
	}
	c.Process = &Process{p: p}
	c.copied = make(chan error, len(c.copies))
	for _, f := range c.copies {
		go func() { c.copied <- f() }()
	}
	if c.ctx != nil {
		c.watch = make(chan error, 1)
		go c.watchContext()
	}
	return nil
}

func (c *Cmd) start() (*posix.Process, error) {
	in, err := c.reader()
	if err != nil {
		return nil, err
	}
	out, err := c.writer(c.Stdout)
	if err != nil {
		return nil, err
	}
	errw := out
	if !sameWriter(c.Stdout, c.Stderr) {
		if errw, err = c.writer(c.Stderr); err != nil {
			return nil, err
		}
	}
	c.box.mu.Lock()
	defer c.box.mu.Unlock()
	if c.box.closed {
		return nil, ErrClosed
	}
	files, err := hostio.Open(int(in.Fd()), int(out.Fd()), int(errw.Fd()))
	if err != nil {
		return nil, fmt.Errorf("hati: standard streams: %w", err)
	}
	spec := posix.StartSpec{Argv: c.Args, Env: c.Env, Dir: c.Dir}
	for _, f := range files {
		if tty, ok := f.(*hostio.Console); ok && !tty.IsMaster() {
			c.box.devices.SetConsole(tty.Node())
		}
		spec.Files = append(spec.Files, posix.StartFile{File: f, Flags: f.Flags()})
	}
	if spec.Env == nil {
		spec.Env = os.Environ()
	}
	if spec.Dir == "" {
		spec.Dir, _ = os.Getwd()
		spec.DirOptional = true
	}
	u := c.User
	if u == nil {
		u = c.box.user
	}
	spec.Creds = posix.NewCreds(u.UID, u.GID, u.Groups)
	return c.lookAndStart(spec)
}

// lookAndStart tries the places where the program may be, as execvp(3) does.
func (c *Cmd) lookAndStart(spec posix.StartSpec) (*posix.Process, error) {
	places := []string{c.Path}
	if !strings.Contains(c.Path, "/") {
		places = nil
		for _, dir := range strings.Split(getenv(spec.Env, "PATH", "/usr/local/bin:/usr/bin:/bin"), ":") {
			if dir == "" {
				dir = "."
			}
			places = append(places, dir+"/"+c.Path)
		}
	}
	spec.Paths = places
	proc, err := c.box.kernel.Start(spec)
	if err != nil {
		if errors.Is(err, posix.ErrDirectory) {
			return nil, fmt.Errorf("hati: %w", err)
		}
		if errors.Is(err, syscall.ENOENT) && len(places) > 1 {
			err = ErrNotFound
		}
		return nil, &Error{c.Path, err}
	}
	return proc, nil
}

func getenv(env []string, key, otherwise string) string {
	v := otherwise
	for _, e := range env {
		if k, x, ok := strings.Cut(e, "="); ok && k == key {
			v = x
		}
	}
	return v
}

func sameWriter(a, b io.Writer) (same bool) {
	defer func() { recover() }() // uncomparable types are not the same
	return a != nil && a == b
}

// reader makes the host file that is the program's standard input.
func (c *Cmd) reader() (*os.File, error) {
	if f, ok := c.Stdin.(*os.File); ok && f != nil {
		return f, nil
	}
	if c.Stdin == nil {
		return c.null(os.O_RDONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hati: standard input: %w", err)
	}
	c.child = append(c.child, r)
	c.parent = append(c.parent, w)
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(w, c.Stdin)
		if errors.Is(err, syscall.EPIPE) {
			err = nil // the program did not want all of it
		}
		return errors.Join(err, ignoreClosed(w.Close()))
	})
	return r, nil
}

// writer makes the host file that is the program's standard output or error.
func (c *Cmd) writer(to io.Writer) (*os.File, error) {
	if f, ok := to.(*os.File); ok && f != nil {
		return f, nil
	}
	if to == nil {
		return c.null(os.O_WRONLY)
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("hati: standard output: %w", err)
	}
	c.child = append(c.child, w)
	c.parent = append(c.parent, r)
	c.copies = append(c.copies, func() error {
		_, err := io.Copy(to, r)
		return errors.Join(err, ignoreClosed(r.Close()))
	})
	return w, nil
}

func (c *Cmd) null(flag int) (*os.File, error) {
	f, err := os.OpenFile(os.DevNull, flag, 0)
	if err != nil {
		return nil, fmt.Errorf("hati: standard streams: %w", err)
	}
	c.child = append(c.child, f)
	return f, nil
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func closeAll(cs []io.Closer) {
	for _, x := range cs {
		x.Close()
	}
}

func (c *Cmd) close() {
	closeAll(c.child)
	closeAll(c.parent)
}

// watchContext calls Cancel when the context ends before the program.
func (c *Cmd) watchContext() {
	select {
	case <-c.ctx.Done():
		err := c.Cancel()
		if err == nil || errors.Is(err, os.ErrProcessDone) {
			err = context.Cause(c.ctx)
		}
		c.watch <- err
	case <-c.Process.p.Done():
		c.watch <- nil
	}
}

// Wait waits until the program has ended and everything is copied.
func (c *Cmd) Wait() error {
	if c.Process == nil {
		return errors.New("hati: not started")
	}
	if c.waited {
		return errors.New("hati: Wait was already called")
	}
	c.waited = true
	status, err := c.Process.p.Wait(context.Background())
	if err != nil {
		return fmt.Errorf("hati: %w", err)
	}
	c.ProcessState = &ProcessState{pid: c.Process.p.PID(), status: status}
	var ended error
	if c.watch != nil {
		ended = <-c.watch
	}
	var copyErr error
	for range c.copies {
		if e := <-c.copied; copyErr == nil {
			copyErr = e
		}
	}
	closeAll(c.parent)
	switch {
	case ended != nil:
		return ended
	case !c.ProcessState.Success():
		return &ExitError{ProcessState: c.ProcessState}
	}
	return copyErr
}

// Output runs the program and returns its standard output.
func (c *Cmd) Output() ([]byte, error) {
	if c.Stdout != nil {
		return nil, errors.New("hati: Stdout already set")
	}
	var out, errb bytes.Buffer
	c.Stdout = &out
	captureErr := c.Stderr == nil
	if captureErr {
		c.Stderr = &errb
	}
	err := c.Run()
	var x *ExitError
	if captureErr && errors.As(err, &x) {
		x.Stderr = errb.Bytes()
	}
	return out.Bytes(), err
}

// CombinedOutput runs the program and returns its output and errors together.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	if c.Stdout != nil || c.Stderr != nil {
		return nil, errors.New("hati: Stdout or Stderr already set")
	}
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}

// pipeEnd is a parent's end of a pipe that may be closed twice.
type pipeEnd struct {
	*os.File
	once sync.Once
	err  error
}

func (p *pipeEnd) Close() error {
	p.once.Do(func() { p.err = p.File.Close() })
	return p.err
}

// StdinPipe returns a pipe to the program's standard input. Wait closes it.
func (c *Cmd) StdinPipe() (io.WriteCloser, error) {
	if c.Stdin != nil || c.started {
		return nil, errors.New("hati: StdinPipe after Stdin was set or the program started")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	end := &pipeEnd{File: w}
	c.Stdin = r
	c.child, c.parent = append(c.child, r), append(c.parent, end)
	return end, nil
}

// StdoutPipe returns a pipe from the program's standard output. Read it to the
// end before Wait, which closes it.
func (c *Cmd) StdoutPipe() (io.ReadCloser, error) { return c.outPipe(&c.Stdout) }

// StderrPipe is StdoutPipe for standard error.
func (c *Cmd) StderrPipe() (io.ReadCloser, error) { return c.outPipe(&c.Stderr) }

func (c *Cmd) outPipe(to *io.Writer) (io.ReadCloser, error) {
	if *to != nil || c.started {
		return nil, errors.New("hati: pipe after the stream was set or the program started")
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	end := &pipeEnd{File: r}
	*to = w
	c.child, c.parent = append(c.child, w), append(c.parent, end)
	return end, nil
}
