package tree

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

// bomb is a leaf whose keys are each one byte longer than the one before, which they share; or as
// many small ones.
func bomb(entries int, nested bool) []byte {
	var e wire.Encoder
	e.Uvarint(0)
	e.Uvarint(uint64(entries))
	for i := range entries {
		if nested {
			e.Uvarint(uint64(i))
			e.Bytes([]byte{1})
		} else {
			e.Uvarint(0)
			e.Bytes([]byte{byte(i >> 16), byte(i >> 8), byte(i)})
		}
		e.Bytes(nil)
	}
	return e.B
}

// TestBombs: nodes that would become far larger in memory than they are.
func TestBombs(t *testing.T) {
	for name, raw := range map[string][]byte{"keys": bomb(20_000, true), "entries": bomb(2_000_000, false)} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := decodeNode(raw, Ref{Entry: 1, Position: 8, Length: int64(len(raw)), SHA256: sha256.Sum256(raw)}, nil, nil)
		runtime.ReadMemStats(&after)
		var damage *DamageError
		if took := after.TotalAlloc - before.TotalAlloc; !errors.As(err, &damage) || took > 64<<20 {
			t.Errorf("%s: %d bytes in memory, %v", name, took, err)
		}
	}
}

// TestLongKeys: keys as long as Kafka's names may be are split before a reader would refuse their
// node.
func TestLongKeys(t *testing.T) {
	m := &mem{}
	tr := At(m.load, Ref{})
	const n = 100
	prefix := strings.Repeat("k", 32_000)
	for i := range n {
		if err := tr.Set(t.Context(), fmt.Appendf(nil, "%s%04d", prefix, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	root, got := m.commit(t, tr), 0
	for it, err := range At(m.load, root).Scan(t.Context(), nil, nil) {
		if err != nil || string(it.Key) != fmt.Sprintf("%s%04d", prefix, got) {
			t.Fatal(err)
		}
		got++
	}
	if got != n {
		t.Errorf("%d keys of %d", got, n)
	}
}
