package remote

import (
	"context"
	"encoding/binary"
	"syscall"

	"github.com/hati-os/hati/vfs"
)

// Every call ends with who makes it: a byte that is 1 if that is known, the user,
// the group, the process and the host's number of that. The server believes it as it believes the rest: a box
// vouches for its own programs.
const callerSize = 17

// trailer appends the caller.
func trailer(ctx context.Context, data []byte) []byte {
	c, known := vfs.CallerOf(ctx)
	flag := byte(0)
	if known {
		flag = 1
	}
	data = append(data, flag)
	data = binary.LittleEndian.AppendUint32(data, c.UID)
	data = binary.LittleEndian.AppendUint32(data, c.GID)
	data = binary.LittleEndian.AppendUint32(data, uint32(c.PID))
	return binary.LittleEndian.AppendUint32(data, uint32(vfs.HostPID(ctx)))
}

// takeCaller cuts the caller off a request and returns its ctx with it.
func takeCaller(ctx context.Context, data *[]byte) (context.Context, bool) {
	at := len(*data) - callerSize
	if at < 0 || (*data)[at] > 1 {
		return nil, false
	}
	p := (*data)[at:]
	*data = (*data)[:at]
	if p[0] == 0 {
		return ctx, true
	}
	c := vfs.Caller{UID: binary.LittleEndian.Uint32(p[1:]), GID: binary.LittleEndian.Uint32(p[5:]),
		PID: int32(binary.LittleEndian.Uint32(p[9:]))}
	known := callerContext{ctx, c, int32(binary.LittleEndian.Uint32(p[13:]))}
	if a, ok := ctx.(requestContext); ok {
		return &requestCaller{known, a}, true
	}
	return &known, true
}

// requestContext is a lane's.
type requestContext interface {
	AfterFunc(func()) func() bool
	OneRequest()
}

// callerContext is a context that knows the caller.
type callerContext struct {
	context.Context
	caller vfs.Caller
	host   int32
}

// requestCaller is a request's.
type requestCaller struct {
	callerContext
	requestContext
}

// Value knows the caller.
func (c *callerContext) Value(key any) any {
	if _, ok := key.(vfs.CallerKey); ok {
		return c
	}
	return c.Context.Value(key)
}

// Caller implements vfs.CallerSource.
func (c *callerContext) Caller() vfs.Caller { return c.caller }

// HostPID implements vfs.HostPIDSource.
func (c *callerContext) HostPID() int32 { return c.host }

// FileOf refuses: a caller's descriptors stay in its own box. One that could be
// named by number would be any file of any of its programs, and a server is only
// owed what it was asked about.
func (c *callerContext) FileOf(int) (vfs.File, func(), error) { return nil, nil, syscall.EOPNOTSUPP }
