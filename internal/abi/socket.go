package abi

// Sizes of the structures of sockets.
const (
	SizeMsghdr  = 56
	SizeMmsghdr = 64
	SizeCmsghdr = 16
	SizeUcred   = 12
)

// Msghdr is struct msghdr as the kernel has it.
type Msghdr struct {
	Name       uint64
	Namelen    int32
	Iov        uint64
	Iovlen     uint64
	Control    uint64
	Controllen uint64
	Flags      uint32
}

// Offsets of the fields that recvmsg(2) changes.
const (
	MsgNamelen    = 8
	MsgControllen = 40
	MsgFlags      = 48
	MmsgLen       = 56
)

// Encode writes m to b.
func (m *Msghdr) Encode(b []byte) {
	b = b[:SizeMsghdr]
	le.PutUint64(b[0:], m.Name)
	le.PutUint64(b[8:], uint64(uint32(m.Namelen)))
	le.PutUint64(b[16:], m.Iov)
	le.PutUint64(b[24:], m.Iovlen)
	le.PutUint64(b[32:], m.Control)
	le.PutUint64(b[40:], m.Controllen)
	le.PutUint64(b[48:], uint64(m.Flags))
}

// Decode reads m from b.
func (m *Msghdr) Decode(b []byte) {
	b = b[:SizeMsghdr]
	m.Name = le.Uint64(b[0:])
	m.Namelen = int32(le.Uint32(b[8:]))
	m.Iov = le.Uint64(b[16:])
	m.Iovlen = le.Uint64(b[24:])
	m.Control = le.Uint64(b[32:])
	m.Controllen = le.Uint64(b[40:])
	m.Flags = le.Uint32(b[48:])
}

// Mmsghdr is struct mmsghdr, an element of sendmmsg(2)'s vector.
type Mmsghdr struct {
	Msghdr
	Len uint32
}

// Encode writes m to b.
func (m *Mmsghdr) Encode(b []byte) {
	b = b[:SizeMmsghdr]
	m.Msghdr.Encode(b)
	le.PutUint64(b[MmsgLen:], uint64(m.Len))
}

// Decode reads m from b.
func (m *Mmsghdr) Decode(b []byte) {
	b = b[:SizeMmsghdr]
	m.Msghdr.Decode(b)
	m.Len = le.Uint32(b[MmsgLen:])
}

// Cmsghdr is struct cmsghdr: the head of a control message. Len counts the
// head and the data, without the padding to 8 bytes.
type Cmsghdr struct {
	Len         uint64
	Level, Type int32
}

// CmsgLen is the Len of a message with n bytes of data.
func CmsgLen(n int) int { return SizeCmsghdr + n }

// CmsgSpace is the space that a message with n bytes of data takes.
func CmsgSpace(n int) int { return SizeCmsghdr + (n+7)&^7 }

// Encode writes h to b.
func (h Cmsghdr) Encode(b []byte) {
	b = b[:SizeCmsghdr]
	le.PutUint64(b[0:], h.Len)
	le.PutUint32(b[8:], uint32(h.Level))
	le.PutUint32(b[12:], uint32(h.Type))
}

// Decode reads h from b.
func (h *Cmsghdr) Decode(b []byte) {
	b = b[:SizeCmsghdr]
	h.Len = le.Uint64(b[0:])
	h.Level = int32(le.Uint32(b[8:]))
	h.Type = int32(le.Uint32(b[12:]))
}

// AppendCmsg appends a control message to buf, a control buffer of limit
// bytes. One that does not fit is cut, as recvmsg(2) cuts it: ok is then false
// and MSG_CTRUNC is due. The padding of the last message may be cut silently.
func AppendCmsg(buf []byte, limit int, level, typ int32, data []byte) (_ []byte, ok bool) {
	room := limit - len(buf)
	if room < SizeCmsghdr {
		return buf, false
	}
	ok = len(data) <= room-SizeCmsghdr
	if !ok {
		data = data[:room-SizeCmsghdr]
	}
	end := min(len(buf)+CmsgSpace(len(data)), limit)
	buf = le.AppendUint64(buf, uint64(CmsgLen(len(data))))
	buf = le.AppendUint32(buf, uint32(level))
	buf = le.AppendUint32(buf, uint32(typ))
	buf = append(buf, data...)
	for len(buf) < end {
		buf = append(buf, 0)
	}
	return buf, ok
}

// NextCmsg takes the first control message off b. more is false at the end
// (less than a head is left); valid is false for a message whose length is
// wrong, which is EINVAL to sendmsg(2). data lies in b.
func NextCmsg(b []byte) (h Cmsghdr, data, rest []byte, more, valid bool) {
	if len(b) < SizeCmsghdr {
		return h, nil, nil, false, true
	}
	h.Decode(b)
	if h.Len < SizeCmsghdr || h.Len > uint64(len(b)) {
		return h, nil, nil, true, false
	}
	n := int(h.Len)
	return h, b[SizeCmsghdr:n], b[min(CmsgSpace(n-SizeCmsghdr), len(b)):], true, true
}

// Ucred is struct ucred: a sender's credentials.
type Ucred struct {
	PID      int32
	UID, GID uint32
}

// Encode writes c to b.
func (c Ucred) Encode(b []byte) {
	b = b[:SizeUcred]
	le.PutUint32(b[0:], uint32(c.PID))
	le.PutUint32(b[4:], c.UID)
	le.PutUint32(b[8:], c.GID)
}

// Decode reads c from b.
func (c *Ucred) Decode(b []byte) {
	b = b[:SizeUcred]
	c.PID = int32(le.Uint32(b[0:]))
	c.UID = le.Uint32(b[4:])
	c.GID = le.Uint32(b[8:])
}
