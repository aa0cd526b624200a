// Package wire is the protocol in which package remote carries the vfs contract
// over a lane: its messages and operations, and, generated from them, their
// codecs. docs/vfs-protocol.md explains it.
package wire

//go:generate go run github.com/hati-os/hati/lane/lanegen -o wire_lane.go wire.go

//lane:protocol hati-vfs 2 2
//lane:call 1 Root Empty RootReply
//lane:call 2 Statfs Empty StatfsReply
//lane:call 3 Stat NodeRequest AttrReply
//lane:call 4 Lookup NameRequest NodeReply
//lane:call 5 Open OpenRequest OpenReply
//lane:call 6 Readlink NodeRequest Empty
//lane:call 7 Make MakeRequest NodeReply
//lane:call 8 MakeOpen MakeRequest OpenReply
//lane:call 9 Tmpfile MakeRequest NodeReply
//lane:call 10 Remove RemoveRequest Empty
//lane:call 11 Rename RenameRequest Empty
//lane:call 12 Link LinkRequest Empty
//lane:call 13 SetAttr SetAttrRequest Empty
//lane:call 14 Getxattr NameRequest Empty
//lane:call 15 Setxattr XattrRequest Empty
//lane:call 16 Listxattr NodeRequest Empty
//lane:call 17 Removexattr NameRequest Empty
//lane:call 18 GetLock LockRequest LockReply
//lane:call 19 SetLock LockRequest Empty
//lane:call 20 Read ReadRequest Empty
//lane:call 21 Write WriteRequest CountReply
//lane:call 22 Append WriteRequest CountReply
//lane:call 23 ReadNext ReadRequest Empty
//lane:call 24 WriteNext WriteRequest CountReply
//lane:call 25 Seek SeekRequest CountReply
//lane:call 26 SeekData SeekRequest CountReply
//lane:call 27 ReadDir ReadDirRequest Empty
//lane:call 28 Sync SyncRequest Empty
//lane:call 29 Flush FileRequest Empty
//lane:call 30 Allocate AllocateRequest Empty
//lane:call 31 CopyRange CopyRequest CountReply
//lane:call 32 Ioctl IoctlRequest CountReply
//lane:call 33 Map MapRequest MapReply
//lane:call 34 Poll PollRequest ReadyReply
//lane:call 35 Arm ArmRequest ReadyReply
//lane:call 36 Close CloseRequest Empty killable
//lane:note 37 Forget ForgetNote
//lane:call 38 Lend LendRequest LendReply
//lane:note 39 Returned ReturnedNote
//lane:call 40 Access AccessRequest Empty
//lane:call 41 PollNow PollRequest ReadyReply
//lane:call 42 Line FileRequest NodeReply
//lane:call 43 Terminal TerminalRequest TerminalReply
//lane:call 44 OpenPeer OpenRequest OpenReply
//lane:call 45 Hangup NodeRequest Empty killable
//lane:note 64 Ready ReadyNote
//lane:call 65 UserRead UserRequest Empty
//lane:call 66 UserWrite UserRequest Empty
//lane:note 67 Recall RecallNote
//lane:note 68 Signal SignalNote

// MaxTransfer is the most bytes that one read or write moves.
const MaxTransfer = 1 << 20

// Bits of a node: which of the optional interfaces that a client must know of it
// has. All others answer for themselves.
const (
	NodeDir = 1 << iota
	NodeLink
	NodeOpener
	NodeLocker
	NodeAccesser
	NodeLine // what is told by Line: a terminal, of which there are open files
	NodeBits = NodeDir | NodeLink | NodeOpener | NodeLocker | NodeAccesser | NodeLine
)

// Bits of an open file: what a client must know beforehand.
const (
	FileDir      = 1 << iota // DirReader, and none of the others
	FileStream               // IsStream
	FileKeeper               // OffsetKeeper
	FilePollable             // Pollable
	FileMapper               // Mapper
	FileFlusher              // Flusher
	FileIoctler              // Ioctler
	FileLocker               // Locker
	FileMessage              // Message
	FileLender               // its object can be lent
	FilePoller               // Poller
	FileSharer               // SharedLocks
	FileTerminal             // Terminal
	FileMaster               // IsMaster
	FileBits     = 1<<iota - 1
)

// Bits of a file system.
const (
	FSStatfs    = 1 << iota
	FSUnordered // opens need not come after the closes before them
	FSSurvives  // files are the same when the server is started anew
	FSPrompt    // nothing but locks waits for others
)

// AccessRequest asks whether the caller may do what access(2)'s Mask says.
type AccessRequest struct {
	Node uint64
	Mask uint32
}

// Empty has no fields.
type Empty struct{}

// Node names a node: ID was not used before on this lane and is not used again
// for another one. Each time that a client is told it counts once (ForgetNote).
//
// The rest, of a server with FSSurvives, is what the file is known by when the
// server was started anew: device, number, time of birth. Ino 0 is unknown.
type Node struct {
	ID       uint64
	Bits     uint32
	Dev, Ino uint64
	BornSec  int64
	BornNsec int64
}

// File names an open file.
type File struct {
	ID   uint64
	Bits uint32
}

// Time is a struct timespec.
type Time struct{ Sec, Nsec int64 }

// Attr is what stat(2) tells.
type Attr struct {
	Dev, Ino, Rdev             uint64
	Mode                       uint32
	Nlink, UID, GID            uint32
	Blksize                    uint32
	Size, Blocks               int64
	Atime, Mtime, Ctime, Btime Time
	OwnAccess                  bool
}

// RootReply is the file system.
type RootReply struct {
	Root Node
	Bits uint32
}

// StatfsReply is what statfs(2) tells.
type StatfsReply struct {
	Type, BlockSize                     uint32
	Blocks, BlocksFree, BlocksAvailable uint64
	Files, FilesFree                    uint64
	NameMax                             uint32
	Flags, FSID                         uint64
}

// NodeRequest is about a node. Readlink and Listxattr answer with bulk: the text,
// or the names, each with a zero byte behind it.
type NodeRequest struct{ Node uint64 }

// FileRequest is about an open file.
type FileRequest struct{ File uint64 }

// AttrReply answers Stat.
type AttrReply struct{ Attr Attr }

// NameRequest is about a name in a directory, or an extended attribute of a node,
// whose value is then the reply's bulk.
type NameRequest struct {
	Node uint64
	Name string `lane:"max=4096"`
}

// NodeReply is a node that was found or made.
type NodeReply struct{ Node Node }

// OpenRequest opens a node.
type OpenRequest struct {
	Node  uint64
	Flags int32
}

// OpenReply is an open file. Node is what was made, or what was opened if that is
// another than asked for; else its ID is 0.
type OpenReply struct {
	File File
	Node Node
}

// MakeRequest makes a file; Flags are for MakeOpen.
type MakeRequest struct {
	Node     uint64
	Name     string `lane:"max=4096"`
	Mode     uint32
	UID, GID uint32
	Rdev     uint64
	Target   string `lane:"max=4096"`
	Flags    int32
}

// RemoveRequest removes a name.
type RemoveRequest struct {
	Node uint64
	Name string `lane:"max=4096"`
	Dir  bool
}

// RenameRequest moves a name.
type RenameRequest struct {
	Node   uint64
	Name   string `lane:"max=4096"`
	To     uint64
	ToName string `lane:"max=4096"`
	Flags  uint32
}

// LinkRequest names Target in Node.
type LinkRequest struct {
	Node, Target uint64
	Name         string `lane:"max=4096"`
}

// SetAttrRequest changes a node, through the open file File unless that is 0.
type SetAttrRequest struct {
	Node, File   uint64
	Valid, Mode  uint32
	UID, GID     uint32
	Size         int64
	Atime, Mtime Time
}

// XattrRequest sets an extended attribute to the request's bulk.
type XattrRequest struct {
	Node  uint64
	Name  string `lane:"max=4096"`
	Flags int32
}

// LockRequest gets or sets a lock, by the open file File unless that is 0.
type LockRequest struct {
	Node, File uint64
	Type       int16
	Flock      bool
	Wait       bool
	Owner      uint64
	PID        int32
	Start, End int64
	Shared     bool // one of SharedLocks
}

// LockReply is the lock in the way.
type LockReply struct {
	Type       int16
	Flock      bool
	Owner      uint64
	PID        int32
	Start, End int64
}

// ReadRequest asks for up to Size bytes, which come as bulk.
type ReadRequest struct {
	File uint64
	Off  int64
	Size uint32
}

// WriteRequest writes the request's bulk.
type WriteRequest struct {
	File uint64
	Off  int64
}

// CountReply tells of bytes moved (N), or a result, and the offset afterwards.
type CountReply struct{ N, End int64 }

// SeekRequest is lseek's; for SeekData Whence is 1 for a hole.
type SeekRequest struct {
	File   uint64
	Off    int64
	Whence int32
}

// ReadDirRequest asks for up to Max entries. The reply's bulk is a DirPage.
type ReadDirRequest struct {
	File, Cookie uint64
	Max          uint32
}

// Dirent is an entry of a directory.
type Dirent struct {
	Ino, Next uint64
	Type      uint32
	Name      string `lane:"max=4096"`
}

// SyncRequest flushes.
type SyncRequest struct {
	File     uint64
	DataOnly bool
}

// AllocateRequest is fallocate's.
type AllocateRequest struct {
	File        uint64
	Mode        uint32
	Off, Length int64
}

// CopyRequest copies between two open files.
type CopyRequest struct {
	File  uint64
	Off   int64
	To    uint64
	ToOff int64
	N     int64
}

// IoctlRequest is an ioctl. Token names its argument for UserRead and UserWrite,
// which the server may call until it has answered.
type IoctlRequest struct {
	File  uint64
	Cmd   uint32
	Value uint64
	Token uint64
}

// UserRequest reads Size bytes of an ioctl's argument, as bulk, or writes the
// request's bulk.
type UserRequest struct {
	Token uint64
	Off   int64
	Size  uint32
}

// MapRequest asks for the object behind a file.
type MapRequest struct {
	File   uint64
	Prot   uint32
	Shared bool
}

// MapReply comes with one file object: the file begins at Offset in it.
type MapReply struct{ Offset int64 }

// PollRequest asks which events of Mask hold now. PollNow's answer has Seq 0 for a
// file that is always ready.
type PollRequest struct {
	File uint64
	Mask uint32
}

// ArmRequest asks for one ReadyNote when the file's events have changed since
// Seen. If they have already, the reply says so and no note follows.
type ArmRequest struct{ File, Seen uint64 }

// ReadyReply tells which events hold (Poll) or may have come (Arm; 0: the note
// will follow), and the number to show with the next ArmRequest.
type ReadyReply struct {
	Events uint32
	Seq    uint64
}

// TerminalRequest asks how a terminal stands: the open file File, or the line
// (a node) Line, if they are not 0.
type TerminalRequest struct{ File, Line uint64 }

// TerminalReply has a file's ReadRule, and whether background output stops.
type TerminalReply struct {
	Min         int64
	Timeout     int64 // nanoseconds
	PerByte     bool
	StopsOutput bool
}

// SignalNote says that the line's foreground group gets Signal, or with 0 that the
// line is gone from its session.
type SignalNote struct {
	Line   uint64
	Signal int32
}

// ReadyNote is the event that was armed.
type ReadyNote struct {
	File   uint64
	Events uint32
	Seq    uint64
}

// CloseRequest closes files, each once.
type CloseRequest struct {
	Files []uint64 `lane:"max=256"`
}

// Count is how often a client was told of a node.
type Count struct {
	Node  uint64
	Times uint32
}

// ForgetNote gives nodes back.
type ForgetNote struct {
	Nodes []Count `lane:"max=256"`
}

// LendRequest asks for the host object behind an open file, to be read and
// written directly; with Own to be handed on.
type LendRequest struct {
	File uint64
	Own  bool
}

// LendReply comes with one file object: the file begins at Offset in it. The loan
// ends with RecallNote(Loan), which the client answers with ReturnedNote.
type LendReply struct {
	Loan   uint64
	Offset int64
}

// RecallNote takes a loan back.
type RecallNote struct{ Loan uint64 }

// ReturnedNote says that the client uses the object no more.
type ReturnedNote struct{ Loan uint64 }

// Take decodes one entry of a list and returns what follows it.
func (m *Dirent) Take(b []byte) ([]byte, error) { return m.decodeLane(b, ProtocolVersion) }
