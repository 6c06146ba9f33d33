package storage

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
	"github.com/kafkadr/kafkadr/storage/segment"
)

func sampleRecord() record {
	return record{
		Kind: kindCommit, ClusterID: "cluster", Sequence: 9, Generation: 7, Owner: "o", WriterKind: "backup", At: time.Unix(5, 6).UTC(),
		Commit: entryRef{Sequence: 8}, Complete: entryRef{Sequence: 9}, Root: tree.Ref{Entry: 9, Position: 8, Length: 100},
		Info: Info{CreatedAt: time.Unix(7, 0).UTC(), Complete: true, Topics: 1, Partitions: 2, Records: 3, Bytes: 4},
	}
}

// FuzzEntry: no bytes make a reader of entries panic, and what it takes it would write the same.
func FuzzEntry(f *testing.F) {
	r := sampleRecord()
	object, _ := r.seal([]byte(entryHeader))
	f.Add(object)
	r.Kind, r.Generation, r.Complete = kindClaim, 9, entryRef{}
	object, _ = r.seal([]byte(entryHeader + "nodes"))
	f.Add(object)
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := checkWhole(raw)
		if err != nil {
			return
		}
		if e.Sequence < 1 || e.Sequence > maxSequence || e.Generation > e.Sequence {
			t.Fatalf("%+v", e)
		}
	})
}

// FuzzRecord goes by the digests.
func FuzzRecord(f *testing.F) {
	r := sampleRecord()
	object, _ := r.seal(nil)
	f.Add(object[:len(object)-footerBytes])
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeRecord(raw)
		if err != nil {
			return
		}
		object, _ := r.seal(nil)
		again, err := decodeRecord(object[:len(object)-footerBytes])
		if err != nil || again != r {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}

// FuzzValues: what is decoded is encoded the same, whatever the bytes.
func FuzzValues(f *testing.F) {
	run := &storedRun{RunInfo: segment.RunInfo{BaseOffset: 5, EndOffset: 9, Block: segment.Block{Length: 3}}, Generation: 1, Number: 2}
	st := &state{PartitionState: PartitionState{EndOffset: 5, Fault: "f"}}
	s := "x"
	for kind, v := range [][]byte{
		run.encode(), st.encode(), encodeHole(Hole{Range: Range{0, 3}, Reason: Missing}), storedObject{1, 2}.encode(),
		encodeTopic(Topic{Name: "t", Configs: []TopicConfig{{Key: "k", Value: &s}}}), encodeGroup(Group{Offsets: []GroupOffset{{Metadata: &s}}, AbsentSince: time.Unix(1, 2).UTC(), Pending: []GroupPartition{{"t", 1}}}),
		encodeCluster(&Cluster{ACLs: []ACL{{}}, Quotas: []Quota{{Entity: map[string]*string{"user": nil}, Values: map[string]float64{"a": 1}}}, Unread: map[string]string{"a": "b"}}),
		encodeSummary(Info{ID: "000001-00000000"}),
	} {
		f.Add(uint8(kind), bytes.Repeat([]byte{0}, 34), v)
	}
	f.Fuzz(func(t *testing.T, kind uint8, key, value []byte) {
		if len(key) == 0 {
			return
		}
		v, again, err := codec(kind, key, value)
		if err != nil {
			return
		}
		w, _, err := codec(kind, key, again)
		if err != nil || !reflect.DeepEqual(v, w) {
			t.Fatalf("%+v became %+v, %v", v, w, err)
		}
	})
}

// codec decodes a value and encodes it again.
func codec(kind uint8, key, value []byte) (v any, again []byte, err error) {
	switch kind % 8 {
	case 0:
		r, err := decodeStoredRun(key, value)
		if err != nil {
			return nil, nil, err
		}
		return r, r.encode(), nil
	case 1:
		s, err := decodeState(key, value)
		if err != nil {
			return nil, nil, err
		}
		return s, s.encode(), nil
	case 2:
		h, err := decodeHole(key, value)
		return h, encodeHole(h), err
	case 3:
		o, err := decodeObject(value)
		return o, o.encode(), err
	case 4:
		t, err := decodeTopic(key, value)
		t.Configs = sorted(t.Configs)
		return t, encodeTopic(t), err
	case 5:
		g, err := decodeGroup(key, value)
		return g, encodeGroup(g), err
	case 6:
		c, err := decodeCluster(value)
		for _, q := range c.Quotas {
			for k, v := range q.Values {
				if math.IsNaN(v) {
					q.Values[k] = 0
				}
			}
		}
		return c, encodeCluster(&c), err
	}
	i, err := decodeSummary(Lineage{"c"}, key, value)
	return i, encodeSummary(i), err
}

func sorted(c []TopicConfig) []TopicConfig {
	t, _ := decodeTopic(topicKey([16]byte{}), encodeTopic(Topic{Configs: c}))
	return t.Configs
}

// TestHostileCounts: a count of elements that the bytes can't hold is refused before anything is
// allocated.
func TestHostileCounts(t *testing.T) {
	huge := bytes.Repeat([]byte{0xff}, 9)
	for kind := range uint8(8) {
		for pad := range 40 {
			value := append(bytes.Repeat([]byte{0}, pad), append(huge, 1)...)
			allocs := testing.AllocsPerRun(1, func() { _, _, _ = codec(kind, bytes.Repeat([]byte{0}, 34), value) })
			if allocs > 100 {
				t.Fatalf("value %d: %v allocations", kind, allocs)
			}
		}
	}
}
