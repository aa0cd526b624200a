// Package vfstest is the contract of package vfs as tests: one suite for every
// server and every way to reach one. A server's own tests call [Run] and then
// test what is particular to it.
//
// The suite uses a server only through package vfs, so it runs unchanged over a
// remote transport. It never sleeps and never waits for a clock.
//
// The package imports vfs, testing and golang.org/x/sys/unix (for Linux's
// numbers, and to map what a [vfs.Mapper] hands out).
package vfstest

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/hati-os/hati/vfs"
)

// Options say what a server lacks. The zero Options expect everything that a
// local Linux file system has. What a flag names is not tested, or, where Linux
// has an errno for a file system without it, that errno is expected.
type Options struct {
	// ReadOnly is a server that shows [Sample] and refuses changes with EROFS.
	ReadOnly bool
	// Sample is a server that shows [Sample] too, but can be changed. Only what
	// reads is tested.
	Sample bool

	NoXattr    bool // extended attributes (EOPNOTSUPP)
	NoLink     bool // second names of a file (EPERM)
	NoSymlink  bool // symbolic links (EPERM)
	NoSpecial  bool // FIFOs and sockets
	NoDevice   bool // making device nodes (on the host, root's alone)
	NoChown    bool // giving files away (on the host, root's alone)
	NoTmpfile  bool // files without a name (EOPNOTSUPP)
	NoExchange bool // RENAME_EXCHANGE
	NoAppend   bool // vfs.Appender
	NoSeek     bool // vfs.Seeker
	NoAllocate bool // vfs.Allocator
	NoMap      bool // vfs.Mapper
	NoShared   bool // shared mappings that can be written
	NoDirLinks bool // link counts of directories that count subdirectories
	NoOneDev   bool // one device number for all files

	// UID and GID own what the suite makes; 0 means this process's.
	UID, GID uint32
	// MaxFile is the size up to which files can grow; 0 means a terabyte with
	// holes, and 3 megabytes without.
	MaxFile int64
	// BigDir is the number of entries in the test of a large directory; 0 means
	// 20,000.
	BigDir int
}

// Run runs the suite. mk makes a new and, but for names that the server always
// shows, empty file system (with ReadOnly or Sample: one that shows [Sample]) and cleans
// up with t.Cleanup. It is called often, sometimes twice in a test, to have two
// unrelated file systems.
func Run(t *testing.T, mk func(t *testing.T) vfs.FS, opts Options) {
	opts.complete()
	cases := writable
	if opts.ReadOnly || opts.Sample {
		cases = readOnly
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != nil && !c.needs(&opts) {
				t.Skip("the server has no such thing")
			}
			c.run(newEnv(t, mk, &opts))
		})
	}
}

// complete fills in what is left out.
func (o *Options) complete() {
	if o.UID == 0 {
		o.UID = uint32(os.Geteuid())
	}
	if o.GID == 0 {
		o.GID = uint32(os.Getegid())
	}
	if o.BigDir == 0 {
		o.BigDir = 20000
	}
}

// test is one of the suite's.
type test struct {
	name  string
	run   func(*env)
	needs func(*Options) bool // nil: always
}

var readOnly = []test{
	{"Sample", testSample, nil},
	{"SampleReads", testSampleReads, nil},
	{"SampleList", testSampleList, nil},
	{"SampleIdentity", testSampleIdentity, nil},
	{"SampleRefuses", testSampleRefuses, func(o *Options) bool { return o.ReadOnly }},
	{"SampleConcurrent", testSampleConcurrent, nil},
}

var writable = []test{
	{"Names", testNames, nil},
	{"NamesTooLong", testNamesTooLong, nil},
	{"NamesTaken", testNamesTaken, nil},
	{"Kinds", testKinds, nil},
	{"KindsWrongUse", testKindsWrongUse, nil},
	{"MakeOpen", testMakeOpen, nil},
	{"Remove", testRemove, nil},
	{"RemovedFile", testRemovedFile, nil},
	{"RemovedDir", testRemovedDir, nil},
	{"OpenRemoved", testOpenRemoved, nil},
	{"Link", testLink, func(o *Options) bool { return !o.NoLink }},
	{"LinkErrors", testLinkErrors, func(o *Options) bool { return !o.NoLink }},
	{"Rename", testRename, nil},
	{"RenameErrors", testRenameErrors, nil},
	{"RenameSameFile", testRenameSameFile, func(o *Options) bool { return !o.NoLink }},
	{"RenameOpen", testRenameOpen, nil},
	{"RenameTree", testRenameTree, nil},
	{"DirLinks", testDirLinks, func(o *Options) bool { return !o.NoDirLinks }},
	{"Identity", testIdentity, nil},
	{"List", testList, nil},
	{"ListRewind", testListRewind, nil},
	{"ListChanging", testListChanging, nil},
	{"ReadWrite", testReadWrite, nil},
	{"Append", testAppend, func(o *Options) bool { return !o.NoAppend }},
	{"AppendConcurrent", testAppendConcurrent, func(o *Options) bool { return !o.NoAppend }},
	{"Truncate", testTruncate, nil},
	{"Holes", testHoles, func(o *Options) bool { return !o.NoSeek }},
	{"Allocate", testAllocate, func(o *Options) bool { return !o.NoAllocate }},
	{"DataModel", testDataModel, nil},
	{"Attributes", testAttributes, nil},
	{"AttributesAllOrNothing", testAllOrNothing, nil},
	{"Times", testTimes, nil},
	{"TimesMove", testTimesMove, nil},
	{"Xattr", testXattr, func(o *Options) bool { return !o.NoXattr }},
	{"XattrNone", testXattrNone, func(o *Options) bool { return o.NoXattr }},
	{"Map", testMap, func(o *Options) bool { return !o.NoMap }},
	{"MapShared", testMapShared, func(o *Options) bool { return !o.NoMap && !o.NoShared }},
	{"Tmpfile", testTmpfile, func(o *Options) bool { return !o.NoTmpfile }},
	{"TmpfileNone", testTmpfileNone, func(o *Options) bool { return o.NoTmpfile }},
	{"ContextEnded", testContextEnded, nil},
	{"ContextRace", testContextRace, nil},
	{"Statfs", testStatfs, nil},
	{"Hammer", testHammer, nil},
}

// At returns fs with the directory at path as its root: to run the suite below
// what a server always has.
func At(fs vfs.FS, path string) vfs.FS { return at{fs, path} }

type at struct {
	vfs.FS
	path string
}

// Root walks to the directory.
func (a at) Root(ctx context.Context) (vfs.Node, error) {
	n, err := a.FS.Root(ctx)
	for name := range strings.SplitSeq(a.path, "/") {
		if err != nil {
			return nil, err
		}
		if name != "" {
			n, err = vfs.Lookup(ctx, n, name)
		}
	}
	return n, err
}
