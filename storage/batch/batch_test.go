package batch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"testing"

	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func TestSplitBatch(t *testing.T) {
	b := batchtest.Plain(t, 10, 3)
	put32 := func(at int, v uint32) func([]byte) {
		return func(raw []byte) { binary.BigEndian.PutUint32(raw[at:], v) }
	}
	put64 := func(at int, v uint64) func([]byte) {
		return func(raw []byte) { binary.BigEndian.PutUint64(raw[at:], v) }
	}
	for name, change := range map[string]func([]byte){
		"magic":                 func(raw []byte) { raw[16] = 1 },
		"length":                put32(8, batch.HeaderSize-13),
		"negative length":       put32(8, math.MaxUint32),
		"2 GiB":                 put32(8, math.MaxInt32-5),
		"negative base":         put64(0, math.MaxUint64),
		"end beyond int64":      put64(0, math.MaxInt64-2),
		"negative delta":        put32(23, math.MaxUint32),
		"negative count":        put32(57, math.MaxUint32),
		"more than its offsets": put32(57, 4),
	} {
		raw := bytes.Clone(b.Raw())
		change(raw)
		_, rest, err := batch.Split(raw)
		if e := new(batch.Error); !errors.As(err, &e) || len(rest) != len(raw) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for n := range b.Raw() {
		if _, _, err := batch.Split(b.Raw()[:n]); !errors.Is(err, batch.ErrShort) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := batch.Parse(append(bytes.Clone(b.Raw()), 0)); err == nil {
		t.Error("a byte behind was taken")
	}
	for i := 21; i < len(b.Raw()); i++ {
		raw := bytes.Clone(b.Raw())
		raw[i] ^= 4
		if (batch.Unchecked(raw)).CheckCRC() == nil {
			t.Errorf("byte %d flipped", i)
		}
	}
}

func TestAll(t *testing.T) {
	a, b := batchtest.Plain(t, 0, 2), batchtest.Plain(t, 2, 1)
	raw := append(bytes.Clone(a.Raw()), b.Raw()...)
	for n := range len(raw) + 1 {
		want := 0
		if n >= a.Len() {
			want++
		}
		if n == len(raw) {
			want++
		}
		got := 0
		for _, err := range batch.All(raw[:n]) {
			if err != nil {
				t.Fatal(err)
			}
			got++
		}
		if got != want {
			t.Errorf("%d batches in %d bytes", got, n)
		}
	}
	raw[a.Len()+16] = 9
	var errs []error
	for _, err := range batch.All(raw) {
		errs = append(errs, err)
	}
	if len(errs) != 2 || errs[0] != nil || errs[1] == nil {
		t.Error(errs)
	}
}
