package kv_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/hati-os/hati/lane/internal/kv"
	"pgregory.net/rapid"
)

// anyBytes draws up to most bytes, NULs among them, and the limit itself often.
func anyBytes(t *rapid.T, most int, label string) []byte {
	n := rapid.OneOf(rapid.IntRange(0, min(most, 40)), rapid.Just(most)).Draw(t, label+" length")
	return rapid.SliceOfN(rapid.OneOf(rapid.Just(byte(0)), rapid.Byte()), n, n).Draw(t, label)
}

func anyPut(t *rapid.T) *kv.PutRequest {
	m := &kv.PutRequest{
		Key: anyBytes(t, 255, "key"), Value: anyBytes(t, 3000, "value"), Mode: kv.Mode(rapid.Uint8().Draw(t, "mode")),
		Hidden: rapid.Bool().Draw(t, "hidden"), Times: [2]int64{rapid.Int64().Draw(t, "time"), -1},
		Digest: [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "digest")), Owner: string(anyBytes(t, 32, "owner")),
	}
	for range rapid.IntRange(0, 16).Draw(t, "tags") {
		m.Tags = append(m.Tags, kv.Tag{Key: string(anyBytes(t, 64, "tag")), Score: rapid.Float32().Draw(t, "score")})
	}
	return m
}

func anyGet(t *rapid.T) *kv.GetReply {
	return &kv.GetReply{
		Revision: rapid.Uint64().Draw(t, "revision"), Value: anyBytes(t, 3000, "value"),
		Meta: kv.Meta{Mode: 7, Grid: [2]kv.Cell{{X: rapid.Int16().Draw(t, "x"), Y: -1, W: rapid.Float64().Draw(t, "w")}, {}},
			Names: [2]string{string(anyBytes(t, 100, "name")), "\x00"}},
		History: rapid.SliceOfN(rapid.Uint64(), 0, 50).Draw(t, "history"),
	}
}

// What was encoded is decoded, whatever was in the struct before; what a version
// does not have is as if it had never been set; no other length is taken.
func TestCodecProperties(t *testing.T) {
	usedPut, usedGet := new(kv.PutRequest), new(kv.GetReply)
	rapid.Check(t, func(t *rapid.T) {
		version := rapid.Uint32Range(1, 3).Draw(t, "version")
		put, get := anyPut(t), anyGet(t)
		if version < 2 {
			put.Digest, put.Owner = [4]byte{}, ""
		}
		for _, tc := range []struct{ m, used message }{{put, usedPut}, {get, usedGet}} {
			b := tc.m.AppendLane([]byte("before"), version)
			if !bytes.HasPrefix(b, []byte("before")) {
				t.Fatal("what was in the buffer is gone")
			}
			b = b[len("before"):]
			for _, into := range []message{fresh(tc.m), tc.used} {
				if err := into.DecodeLane(b, version); err != nil {
					t.Fatalf("%T: %v", tc.m, err)
				}
				if again := into.AppendLane(nil, version); !bytes.Equal(again, b) || !same(into, tc.m) {
					t.Fatalf("%T: %+v became %+v", tc.m, tc.m, into)
				}
			}
			cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
			if err := fresh(tc.m).DecodeLane(b[:cut], version); err == nil {
				t.Fatalf("%T: %d of %d bytes were taken", tc.m, cut, len(b))
			}
			if err := fresh(tc.m).DecodeLane(append(b, 0), version); err == nil {
				t.Fatalf("%T: a byte too many was taken", tc.m)
			}
		}
	})
}

// same compares but for empty slices, which may be nil, and NaNs, which the bytes have
// compared.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range x.NumField() {
		f, g := x.Field(i), y.Field(i)
		switch f.Kind() {
		case reflect.Slice:
			if f.Len() != g.Len() {
				return false
			}
			if f.Type().Elem().Kind() == reflect.Uint8 && !bytes.Equal(f.Bytes(), g.Bytes()) {
				return false
			}
		case reflect.String, reflect.Uint8, reflect.Uint64, reflect.Bool:
			if !reflect.DeepEqual(f.Interface(), g.Interface()) {
				return false
			}
		}
	}
	return true
}
