// Package talk is the protocol of conversations: messages both ways, each
// acknowledged when the other side has taken it.
package talk

//go:generate go run github.com/hati-os/hati/lane/lanegen -o talk_lane.go talk.go

//lane:protocol hati.talk 1 1
//lane:call 1 Message MessageRequest Nothing
//lane:call 2 Resume ResumeRequest ResumeReply
//lane:call 3 End Nothing Nothing

// MessageRequest is a message: its text is the bulk. Seq counts from 1.
type MessageRequest struct{ Seq uint64 }

// Nothing is an empty message.
type Nothing struct{}

// ResumeRequest takes up a conversation with another instance of the server:
// Received is the last message that the client has taken.
type ResumeRequest struct{ Received uint64 }

// ResumeReply says which message of the client's the server has taken last.
type ResumeReply struct{ Received uint64 }
