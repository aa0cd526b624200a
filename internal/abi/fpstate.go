package abi

// The floating point state of a signal frame: 512 bytes as FXSAVE writes them,
// whose last 48 the kernel uses (struct _fpx_sw_bytes); with XSAVE an extended
// area follows, and FP_XSTATE_MAGIC2 after it.
const (
	FP_XSTATE_MAGIC1     = 0x46505853
	FP_XSTATE_MAGIC2     = 0x46505845
	SizeFpxState         = 512
	FpSwReserved         = 464 // offset of FpxSw in the state
	SizeFpxSw            = 48
	XstateHeader         = 512 // offset of XSAVE's header: xstate_bv, xcomp_bv, zeros
	SizeXstateHeader     = 64
	SizeFpXstateMagic2   = 4
	FpMxcsr              = 24 // offset of MXCSR; reserved bits in it make XRSTOR fault
	FpMxcsrMask          = 28
	MinXstateSize        = SizeFpxState + SizeXstateHeader
	XFEATURE_MASK_FPSSE  = 3
	XFEATURE_MASK_PKRU   = 1 << 9
	XFEATURE_MASK_AVX    = 1 << 2
	XFEATURE_MASK_AVX512 = 7 << 5
	XFEATURE_MASK_TILE   = 3 << 17
)

// FpxSw says how large the state is.
type FpxSw struct {
	Magic1       uint32 // FP_XSTATE_MAGIC1 if there is an extended area
	ExtendedSize uint32 // of all of it, with FP_XSTATE_MAGIC2
	Xfeatures    uint64
	XstateSize   uint32 // without FP_XSTATE_MAGIC2
}

// Encode writes s to b, SizeFpxSw bytes.
func (s *FpxSw) Encode(b []byte) {
	b = b[:SizeFpxSw]
	le.PutUint32(b[0:], s.Magic1)
	le.PutUint32(b[4:], s.ExtendedSize)
	le.PutUint64(b[8:], s.Xfeatures)
	le.PutUint32(b[16:], s.XstateSize)
	clear(b[20:])
}

// Decode reads s from b.
func (s *FpxSw) Decode(b []byte) {
	b = b[:SizeFpxSw]
	s.Magic1 = le.Uint32(b[0:])
	s.ExtendedSize = le.Uint32(b[4:])
	s.Xfeatures = le.Uint64(b[8:])
	s.XstateSize = le.Uint32(b[16:])
}

// Extended reports whether an extended area follows the first 512 bytes, with
// sizes that make sense, in a state of at most max bytes; without one Linux
// restores the FXSAVE part alone. The caller still has to see MAGIC2 at
// XstateSize.
func (s *FpxSw) Extended(max uint32) bool {
	return s.Magic1 == FP_XSTATE_MAGIC1 &&
		s.XstateSize >= MinXstateSize && s.XstateSize <= max &&
		s.XstateSize <= s.ExtendedSize
}
