package segment

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// sum is a batch's CRC, computed from its bytes.
func sum(raw []byte) uint32 { return crc32.Checksum(raw[21:], castagnoli) }

// FuzzResum takes any two headers and records: the CRC of one follows from that of the other.
func FuzzResum(f *testing.F) {
	f.Add(make([]byte, HeaderSize), []byte("header"), []byte{})
	f.Fuzz(func(t *testing.T, header, other, records []byte) {
		raw := make([]byte, HeaderSize, HeaderSize+len(records))
		copy(raw, header)
		raw = append(raw, records...)
		sign(raw)
		was := headerSum(raw)
		copy(raw[21:HeaderSize], other)
		resum(raw, was)
		if got, want := binary.BigEndian.Uint32(raw[17:]), sum(raw); got != want {
			t.Errorf("CRC %x, want %x", got, want)
		}
	})
}

// TestResum tries lengths of all sizes.
func TestResum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := HeaderSize; n < 4<<20; n += 1 + rng.IntN(1+n) {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		sign(raw)
		was := headerSum(raw)
		for i := 21; i < HeaderSize; i++ {
			raw[i] = byte(rng.Uint32())
		}
		resum(raw, was)
		if got, want := binary.BigEndian.Uint32(raw[17:]), sum(raw); got != want {
			t.Errorf("%d bytes: CRC %x, want %x", n, got, want)
		}
	}
}

// TestForProduceDamaged: what was damaged isn't made right.
func TestForProduceDamaged(t *testing.T) {
	b := plain(t, 100, 3)
	b.raw[len(b.raw)-1] ^= 1
	got, err := ParseBatch(b.ForProduce(nil, 42, 3, 7))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.CheckCRC(); err == nil {
		t.Error("the damage is hidden")
	}
}

func BenchmarkForProduce(b *testing.B) {
	for _, n := range []int{10, 1000} {
		batch := load(b, n, 1000, kgo.NoCompression())
		var buf []byte
		b.SetBytes(int64(batch.Len()))
		for b.Loop() {
			buf = batch.ForProduce(buf[:0], 1, 2, 3)
		}
	}
}
