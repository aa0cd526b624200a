package lane

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// What lanegen's decoders find wrong with a message.
var (
	ErrMessageShort = errors.New("lane: message too short")
	ErrMessageLong  = errors.New("lane: message longer than its version has it")
	ErrMessageValue = errors.New("lane: value out of range in message")
)

// Extra is what goes with a message beside its fields. One Extra serves one call
// at a time and may be used again.
type Extra struct {
	Bulk    []byte   // sent
	Objects []Object // sent, and given away
	Room    []byte   // where the reply's bulk goes; cut to what came
	Got     []Object // came with the reply; the caller's to close

	data []byte // holds the byte slices of the last reply
}

// Scratch holds the buffers of a call under way. It is for generated code.
type Scratch struct {
	Request, reply Message
}

var scratches = sync.Pool{New: func() any {
	return &Scratch{reply: Message{Data: make([]byte, 0, InlineData)}}
}}

// GetScratch returns buffers for a call; Put gives them back.
func GetScratch() *Scratch { return scratches.Get().(*Scratch) }

// Put gives s back.
func (s *Scratch) Put() {
	s.Request.Bulk, s.Request.Objects, s.reply.Bulk, s.reply.Objects = nil, nil, nil, nil
	scratches.Put(s)
}

// Call sends s.Request with x and leaves the reply in s and x.
func (s *Scratch) Call(ctx context.Context, l *Lane, x *Extra) error {
	if x != nil {
		s.Request.Bulk, s.Request.Objects, s.reply.Bulk = x.Bulk, x.Objects, x.Room
		x.Objects = nil
	}
	if f := l.cfg.Trailer; f != nil {
		s.Request.Data = f(ctx, s.Request.Data)
	}
	if f := l.cfg.Around; f != nil {
		var end func()
		ctx, end = f(ctx)
		defer end()
	}
	err := l.Call(ctx, &s.Request, &s.reply)
	if x != nil {
		x.Room, x.Got = s.reply.Bulk, s.reply.Objects
	} else {
		closeObjects(s.reply.Objects)
	}
	return err
}

// Note sends s.Request with x.
func (s *Scratch) Note(ctx context.Context, l *Lane, x *Extra) error {
	if x != nil {
		s.Request.Bulk, s.Request.Objects = x.Bulk, x.Objects
		x.Objects = nil
	}
	return l.Note(ctx, &s.Request)
}

// Keep returns the reply's data in memory that outlives s: x's, when there is an
// x.
func (s *Scratch) Keep(x *Extra) []byte {
	if x == nil {
		return append([]byte(nil), s.reply.Data...)
	}
	x.data = append(x.data[:0], s.reply.Data...)
	return x.data
}

// Decoded turns a decoder's complaint about the reply into the call's outcome: the
// server has done something, but what cannot be told. Nobody has the objects then.
func (s *Scratch) Decoded(x *Extra, err error) error {
	if err == nil {
		return nil
	}
	if x != nil {
		closeObjects(x.Got)
		x.Got = nil
	}
	return &DoubtError{fmt.Errorf("%w: reply: %w", ErrProtocol, err)}
}
