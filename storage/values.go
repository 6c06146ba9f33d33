package storage

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Keys of the manifest's tree: a letter, then fixed-width big-endian numbers, so
// that bytes order as numbers do.
//
//	c                                       the cluster's data
//	g name                                  a consumer group
//	o generation segment                    an object
//	p topic partition history               the state of a partition's history
//	r topic partition history 'h' base      a hole
//	r topic partition history 'r' base      a run
//	s sequence                              the summary of a full snapshot
//	t topic                                 a topic
func clusterKey() []byte              { return []byte{'c'} }
func groupKey(name string) []byte     { return append([]byte{'g'}, name...) }
func topicKey(id kadm.TopicID) []byte { return append([]byte{'t'}, id[:]...) }

func summaryKey(sequence int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{'s'}, uint64(sequence))
}

func objectKey(generation, number int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte{'o'}, uint64(generation)), uint64(number))
}

func topicStatesKey(id kadm.TopicID) []byte { return append([]byte{'p'}, id[:]...) }

func partitionKey(letter byte, p segment.Partition) []byte {
	return binary.BigEndian.AppendUint32(append([]byte{letter}, p.Topic[:]...), uint32(p.Partition))
}

func stateKey(p segment.Partition, history int32) []byte {
	return binary.BigEndian.AppendUint32(partitionKey('p', p), uint32(history))
}

func holesKey(p segment.Partition, history int32) []byte {
	return append(binary.BigEndian.AppendUint32(partitionKey('r', p), uint32(history)), 'h')
}

func runsKey(p segment.Partition, history int32) []byte {
	return append(binary.BigEndian.AppendUint32(partitionKey('r', p), uint32(history)), 'r')
}

func runKey(p segment.Partition, history int32, base int64) []byte {
	return binary.BigEndian.AppendUint64(runsKey(p, history), uint64(base))
}

func holeKey(p segment.Partition, history int32, base int64) []byte {
	return binary.BigEndian.AppendUint64(holesKey(p, history), uint64(base))
}

// after is the first key behind all that begin with prefix.
func after(prefix []byte) []byte {
	end := slices.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			return end[:i+1]
		}
	}
	return nil
}

// state is a partition's history as the manifest has it: the holes lie beside it.
type state struct {
	PartitionState
	// FirstRunEnd and RunEnd are the end offsets of the first and the last run, if there is one.
	Runs                int64
	FirstRunEnd, RunEnd int64
	// HoleCount and HoleDigest tell whether holes changed without reading them.
	HoleCount  int64
	HoleDigest [8]byte
}

func (s *state) encode() []byte {
	var e wire.Encoder
	for _, v := range []int64{
		s.StartOffset, s.EndOffset, s.FirstOffset, int64(s.LeaderEpoch), s.Records, s.Bytes, s.Missing, s.HoleRuns,
		s.MinTimestamp, s.MaxTimestamp, int64(s.MaxBatch), s.Runs, s.FirstRunEnd, s.RunEnd, s.HoleCount,
	} {
		e.Varint(v)
	}
	e.Raw(s.HoleDigest[:])
	e.String(s.Fault)
	e.String(s.Truncated)
	return e.B
}

// decodeState reads the value of stateKey.
func decodeState(key, value []byte) (*state, error) {
	s := &state{}
	k := wire.NewDecoder(key)
	k.Raw(1)
	s.Partition, s.History = decodePlace(k)
	if err := k.Done(); err != nil {
		return nil, err
	}
	d := wire.NewDecoder(value)
	s.StartOffset, s.EndOffset, s.FirstOffset, s.LeaderEpoch = d.Varint(), d.Varint(), d.Varint(), d.Varint32()
	for _, v := range []*int64{&s.Records, &s.Bytes, &s.Missing, &s.HoleRuns} {
		*v = d.Varint()
	}
	s.MinTimestamp, s.MaxTimestamp, s.MaxBatch = d.Varint(), d.Varint(), d.Varint32()
	for _, v := range []*int64{&s.Runs, &s.FirstRunEnd, &s.RunEnd, &s.HoleCount} {
		*v = d.Varint()
	}
	copy(s.HoleDigest[:], d.Raw(8))
	s.Fault, s.Truncated = d.String(), d.String()
	if s.StartOffset < 0 || s.EndOffset < s.StartOffset || s.Records < 0 || s.Bytes < 0 || s.Runs < 0 || s.HoleCount < 0 {
		d.Fail("partition from %d to %d", s.StartOffset, s.EndOffset)
	}
	return s, d.Done()
}

func decodePlace(d *wire.Decoder) (p segment.Partition, history int32) {
	copy(p.Topic[:], d.Raw(16))
	for _, v := range []*int32{&p.Partition, &history} {
		if raw := d.Raw(4); raw != nil {
			*v = int32(binary.BigEndian.Uint32(raw))
		}
		if *v < 0 {
			d.Fail("negative number in a key")
		}
	}
	return p, history
}

// decodeRunKey reads holeKey and runKey.
func decodeRunKey(key []byte) (p segment.Partition, history int32, base int64, err error) {
	d := wire.NewDecoder(key)
	d.Raw(1)
	p, history = decodePlace(d)
	d.Raw(1)
	if raw := d.Raw(8); raw != nil {
		base = int64(binary.BigEndian.Uint64(raw))
	}
	if base < 0 {
		d.Fail("negative offset in a key")
	}
	return p, history, base, d.Done()
}

func encodeHole(h Hole) []byte {
	var e wire.Encoder
	e.Uvarint(uint64(h.EndOffset - h.BaseOffset))
	e.String(string(h.Reason))
	e.String(h.Evidence)
	return e.B
}

func decodeHole(key, value []byte) (Hole, error) {
	_, _, base, err := decodeRunKey(key)
	if err != nil {
		return Hole{}, err
	}
	d := wire.NewDecoder(value)
	h := Hole{Range: Range{BaseOffset: base}}
	h.EndOffset = base + d.Int(math.MaxInt64-base)
	h.Reason, h.Evidence = HoleReason(d.String()), d.String()
	if h.EndOffset <= h.BaseOffset {
		d.Fail("hole without offsets")
	}
	return h, d.Done()
}

// storedRun is a run whose object is named by generation and number.
type storedRun struct {
	segment.RunInfo
	History            int32
	Generation, Number int64
}

func (r *storedRun) encode() []byte {
	var e wire.Encoder
	e.Uvarint(uint64(r.Generation))
	e.Uvarint(uint64(r.Number))
	e.Uvarint(uint64(r.EndOffset - r.BaseOffset))
	for _, v := range []int64{
		r.Records, r.Bytes, r.Missing, r.HoleRuns, r.MinTimestamp, r.MaxTimestamp - r.MinTimestamp,
		int64(r.LeaderEpoch), int64(r.MaxBatch), r.Block.Position, int64(r.Block.Length),
	} {
		e.Varint(v)
	}
	e.Raw(r.Block.SHA256[:])
	return e.B
}

func decodeStoredRun(key, value []byte) (*storedRun, error) {
	p, history, base, err := decodeRunKey(key)
	if err != nil {
		return nil, err
	}
	r := &storedRun{History: history}
	r.Partition, r.BaseOffset = p, base
	d := wire.NewDecoder(value)
	r.Generation, r.Number = d.Int(maxSequence), d.Int(maxSegment)
	r.EndOffset = base + d.Int(math.MaxInt64-base)
	for _, v := range []*int64{&r.Records, &r.Bytes, &r.Missing, &r.HoleRuns, &r.MinTimestamp, &r.MaxTimestamp} {
		*v = d.Varint()
	}
	r.MaxTimestamp += r.MinTimestamp
	r.LeaderEpoch, r.MaxBatch = d.Varint32(), d.Varint32()
	r.Block.Position, r.Block.Length, r.Block.SHA256 = d.Varint(), d.Varint32(), d.Digest()
	if r.EndOffset <= r.BaseOffset || r.Block.Position < 0 || r.Block.Length <= 0 || r.Records < 0 || r.Bytes < 0 {
		d.Fail("run from %d to %d", r.BaseOffset, r.EndOffset)
	}
	return r, d.Done()
}

// storedObject is a segment with the number of runs that name it. Without any
// it is no longer read by this snapshot, but by older ones.
type storedObject struct{ Size, Runs int64 }

func (o storedObject) encode() []byte {
	var e wire.Encoder
	e.Uvarint(uint64(o.Size))
	e.Uvarint(uint64(o.Runs))
	return e.B
}

func decodeObject(value []byte) (storedObject, error) {
	d := wire.NewDecoder(value)
	o := storedObject{Size: d.Int(1 << 50), Runs: d.Int(1 << 50)}
	return o, d.Done()
}

// decodeObjectKey reads objectKey.
func decodeObjectKey(key []byte) (generation, number int64, err error) {
	d := wire.NewDecoder(key)
	d.Raw(1)
	for _, v := range []*int64{&generation, &number} {
		if raw := d.Raw(8); raw != nil {
			*v = int64(binary.BigEndian.Uint64(raw))
		}
	}
	if generation < 0 || generation > maxSequence || number < 0 || number > maxSegment {
		d.Fail("object %d-%d", generation, number)
	}
	return generation, number, d.Done()
}
