package posix

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/hati-os/hati/internal/abi"
)

// FuzzLoadFP: whatever a guest puts into its frame, the host can load the result.
func FuzzLoadFP(f *testing.F) {
	const size = abi.MinXstateSize + 256
	host := make([]byte, size+abi.SizeFpXstateMagic2)
	le := binary.LittleEndian
	le.PutUint32(host[abi.FpMxcsrMask:], 0xffff)
	sw := abi.FpxSw{Magic1: abi.FP_XSTATE_MAGIC1, ExtendedSize: uint32(len(host)), Xfeatures: 7, XstateSize: size}
	sw.Encode(host[abi.FpSwReserved:])
	le.PutUint32(host[size:], abi.FP_XSTATE_MAGIC2)
	f.Add(slices.Clone(host), uint32(0x1f80), uint64(7))
	f.Add(slices.Clone(host), uint32(0x1f80), uint64(8))
	f.Add(slices.Clone(host), uint32(0x1ffff), uint64(3))
	f.Add(slices.Clone(host[:abi.SizeFpxState]), uint32(0x1f80), uint64(3))
	f.Fuzz(func(t *testing.T, b []byte, mxcsr uint32, features uint64) {
		if len(b) < abi.SizeFpxState || len(b) > len(host) {
			return
		}
		le.PutUint32(b[abi.FpMxcsr:], mxcsr)
		if len(b) >= abi.XstateHeader+8 {
			le.PutUint64(b[abi.XstateHeader:], features)
		}
		fp := slices.Clone(host)
		if !loadFP(fp, b) {
			if !slices.Equal(fp, host) {
				t.Error("refused, but changed")
			}
			return
		}
		// What the processor faults on, and what the kernel goes by.
		if le.Uint32(fp[abi.FpMxcsr:])&^0xffff != 0 {
			t.Error("reserved bits in MXCSR")
		}
		if le.Uint64(fp[abi.XstateHeader:])&^7 != 0 || !isZero(fp[abi.XstateHeader+8:abi.XstateHeader+64]) {
			t.Error("a bad header")
		}
		if !slices.Equal(fp[abi.FpSwReserved:abi.SizeFpxState], host[abi.FpSwReserved:abi.SizeFpxState]) ||
			!slices.Equal(fp[size:], host[size:]) || le.Uint32(fp[abi.FpMxcsrMask:]) != 0xffff {
			t.Error("what is the kernel's was changed")
		}
	})
}
