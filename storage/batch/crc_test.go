package batch_test

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

// sum is a batch's CRC, computed from its bytes.
func sum(raw []byte) uint32 { return crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)) }

// FuzzResum takes any two headers and records: the CRC of one follows from that of the other.
func FuzzResum(f *testing.F) {
	f.Add(make([]byte, batch.HeaderSize), []byte("header"), []byte{})
	f.Fuzz(func(t *testing.T, header, other, records []byte) {
		raw := make([]byte, batch.HeaderSize, batch.HeaderSize+len(records))
		copy(raw, header)
		raw = append(raw, records...)
		batch.Sign(raw)
		was := batch.HeaderSum(raw)
		copy(raw[21:batch.HeaderSize], other)
		batch.Resum(raw, was)
		if got, want := binary.BigEndian.Uint32(raw[17:]), sum(raw); got != want {
			t.Errorf("CRC %x, want %x", got, want)
		}
	})
}

// TestResum tries lengths of all sizes.
func TestResum(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for n := batch.HeaderSize; n < 4<<20; n += 1 + rng.IntN(1+n) {
		raw := make([]byte, n)
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		batch.Sign(raw)
		was := batch.HeaderSum(raw)
		for i := 21; i < batch.HeaderSize; i++ {
			raw[i] = byte(rng.Uint32())
		}
		batch.Resum(raw, was)
		if got, want := binary.BigEndian.Uint32(raw[17:]), sum(raw); got != want {
			t.Errorf("%d bytes: CRC %x, want %x", n, got, want)
		}
	}
}

// TestForProduceDamaged: what was damaged isn't made right.
func TestForProduceDamaged(t *testing.T) {
	b := batchtest.Plain(t, 100, 3)
	b.Raw()[len(b.Raw())-1] ^= 1
	got, err := batch.Parse(b.ForProduce(nil, 42, 3, 7))
	if err != nil {
		t.Fatal(err)
	}
	if err := got.CheckCRC(); err == nil {
		t.Error("the damage is hidden")
	}
}
