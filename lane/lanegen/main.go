// Command lanegen writes the codecs and stubs of a lane protocol.
//
//	//go:generate go run github.com/hati-os/hati/lane/lanegen -o kv_lane.go kv.go
//
// A protocol is one Go file: structs are its messages, and comments say the rest:
//
//	//lane:protocol kv 2 1                 its name, version, and the oldest version spoken
//	//lane:call 1 Get GetRequest GetReply  an operation's number, name and messages
//	//lane:call 2 Put PutRequest PutReply killable    one that no signal interrupts
//	//lane:note 9 Changed ChangedNote      a one-way message
//
// Fields are bool, integers and floats of a fixed size, string, []byte, arrays and
// slices of these, other structs of the file, and its types that are made of them.
// A tag bounds what a decoder takes, or says since which version a field exists:
//
//	Name []byte `lane:"max=255"`
//	Tags []Tag  `lane:"max=16,since=2"`
//
// What takes no bytes cannot be in a slice. Fields are added at a struct's end, with
// since; numbers and versions are never used for something else.
//
// The file that is written has for each protocol a Client and a Server interface:
//
//	cfg := lane.Config{Protocol: kv.ProtocolName, Version: kv.ProtocolVersion, Oldest: kv.ProtocolOldest}
//	l, err := lane.Dial(ctx, path, cfg)
//	err = kv.Client{Lane: l}.Get(ctx, &kv.GetRequest{Key: key}, &reply, nil)
//
//	listener.Serve(ctx, kv.Handler(store), lane.ServeOptions{}, nil) // store implements kv.Server
//
// A reply's fields have room for lane.InlineData bytes (EMSGSIZE beyond); what is
// larger goes beside them as bulk, in both directions (lane.Extra, Request.Room).
// A message that breaks the protocol is answered with EBADMSG, an unknown operation
// with ENOSYS. lane/internal/kv is an example.
//
// docs/lane-protocol.md gives the bytes.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/format"
	"os"
)

func main() {
	out := flag.String("o", "", "the file to write (standard output if empty)")
	flag.Parse()
	if err := run(flag.Args(), *out); err != nil {
		fmt.Fprintln(os.Stderr, "lanegen:", err)
		os.Exit(1)
	}
}

func run(args []string, out string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one protocol file, not %d", len(args))
	}
	src, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	code, err := generate(args[0], src)
	if err != nil {
		return err
	}
	if out == "" {
		_, err = os.Stdout.Write(code)
		return err
	}
	return os.WriteFile(out, code, 0o644)
}

// generate returns the code for a protocol file.
func generate(name string, src []byte) ([]byte, error) {
	p, err := parse(name, src)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := &writer{p: p, b: &b}
	w.file()
	code, err := format.Source(b.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the code written does not parse: %w\n%s", err, b.Bytes())
	}
	return code, nil
}
