// Package kv is a small protocol with every kind of field: the generator's test,
// and what the client in another language speaks (docs/lane-protocol.md).
package kv

//go:generate go run github.com/hati-os/hati/lane/lanegen -o kv_lane.go kv.go

//lane:protocol kv 2 1
//lane:call 1 Put PutRequest PutReply killable
//lane:call 2 Get GetRequest GetReply
//lane:call 3 Wait WaitRequest GetReply
//lane:note 9 Changed ChangedNote

// Mode is how a Put treats what is there.
type Mode uint8

// Tag is a label of a value.
type Tag struct {
	Key   string `lane:"max=64"`
	Score float32
}

// PutRequest stores a value; with bulk, the value is the bulk.
type PutRequest struct {
	Key    []byte `lane:"max=255"`
	Value  []byte
	Mode   Mode
	Hidden bool
	Times  [2]int64
	Tags   []Tag   `lane:"max=16"`
	Digest [4]byte `lane:"since=2"`
	Owner  string  `lane:"max=32,since=2"`
}

// PutReply says which version of the key's value this is.
type PutReply struct{ Revision uint64 }

// GetRequest asks for a key's value.
type GetRequest struct {
	Key []byte `lane:"max=255"`
}

// WaitRequest asks for the value once its revision is at least Revision.
type WaitRequest struct {
	Key      []byte `lane:"max=255"`
	Revision uint64
}

// GetReply is a value.
type GetReply struct {
	Revision uint64
	Value    []byte
	Meta     Meta
	History  []uint64
}

// Meta nests.
type Meta struct {
	Mode  Mode
	Grid  [2]Cell
	Names [2]string
}

// Cell is of a fixed size.
type Cell struct {
	X, Y int16
	W    float64
}

// ChangedNote tells that a key's value has changed.
type ChangedNote struct {
	Key      string
	Revision uint64
}
