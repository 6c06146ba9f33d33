package segment

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// Least lengths of what counts are read for, in bytes.
const (
	minFacts          = 16 + 10
	minDirectoryEntry = minFacts + 1 + 32
	minAborted        = 2
	minFrame          = 10 + 32
)

// appendFacts appends what directory and run block both say of a run:
// everything in a RunInfo but Block, and Missing, which follows from the rest.
func appendFacts(dst []byte, i *RunInfo) []byte {
	dst = append(dst, i.Topic[:]...)
	dst = binary.AppendUvarint(dst, uint64(i.Partition.Partition))
	dst = binary.AppendUvarint(dst, uint64(i.BaseOffset))
	dst = binary.AppendUvarint(dst, uint64(i.EndOffset-i.BaseOffset))
	dst = binary.AppendUvarint(dst, uint64(i.Records))
	dst = binary.AppendUvarint(dst, uint64(i.Bytes))
	dst = binary.AppendUvarint(dst, uint64(i.HoleRuns))
	dst = binary.AppendVarint(dst, i.MinTimestamp)
	dst = binary.AppendVarint(dst, i.MaxTimestamp)
	dst = binary.AppendVarint(dst, int64(i.LeaderEpoch))
	return binary.AppendUvarint(dst, uint64(i.MaxBatch))
}

func (p *parser) facts() (i RunInfo) {
	i.Topic = p.topic()
	i.Partition.Partition = p.int32()
	i.BaseOffset = p.int64()
	i.EndOffset = p.end(i.BaseOffset)
	span := i.EndOffset - i.BaseOffset
	i.Records = int64(p.uvarint(uint64(span)))
	i.Missing = span - i.Records
	i.Bytes = p.int64()
	i.HoleRuns = int64(p.uvarint(uint64(span)))
	i.MinTimestamp = p.varint()
	i.MaxTimestamp = p.varint()
	epoch := p.varint()
	i.LeaderEpoch = int32(epoch)
	i.MaxBatch = p.int32()
	if i.MinTimestamp > i.MaxTimestamp || epoch != int64(i.LeaderEpoch) || i.MaxBatch < batch.HeaderSize || int64(i.MaxBatch) > i.Bytes {
		p.fail()
	}
	return i
}

// appendBlock appends a run's block, the bytes that [ParseRun] reads.
func appendBlock(dst []byte, r *Run) []byte {
	dst = append(dst, Version)
	dst = appendFacts(dst, &r.RunInfo)
	dst = binary.AppendUvarint(dst, uint64(len(r.Aborted)))
	for _, t := range r.Aborted {
		dst = binary.AppendVarint(dst, t.ProducerID)
		dst = binary.AppendUvarint(dst, uint64(t.FirstOffset))
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Frames)))
	position, offset := int64(0), r.BaseOffset
	for i := range r.Frames {
		f := &r.Frames[i]
		dst = binary.AppendUvarint(dst, uint64(f.Position-position))
		dst = binary.AppendUvarint(dst, uint64(f.Length))
		dst = binary.AppendUvarint(dst, uint64(f.RawLength))
		dst = append(dst, f.Codec)
		dst = binary.AppendUvarint(dst, uint64(f.KeyID))
		dst = append(dst, f.SHA256[:]...)
		dst = binary.AppendUvarint(dst, uint64(f.BaseOffset-offset))
		dst = binary.AppendUvarint(dst, uint64(f.EndOffset-f.BaseOffset))
		dst = binary.AppendVarint(dst, f.MinTimestamp)
		dst = binary.AppendVarint(dst, f.MaxTimestamp)
		dst = binary.AppendUvarint(dst, uint64(f.Records))
		position, offset = f.Position+int64(f.Length), f.EndOffset
	}
	return dst
}

// ParseRun decodes a run's index from the bytes that block names, checking
// their digest. It is for readers that know the block from a manifest and
// fetch by range. Errors are *[DamageError] or *[VersionError].
func ParseRun(raw []byte, block Block) (*Run, error) {
	damage := func(reason string) (*Run, error) {
		return nil, &DamageError{Part: "run", Position: block.Position, Length: int64(block.Length), Reason: reason}
	}
	switch {
	case int64(len(raw)) != int64(block.Length):
		return damage("another length than its block's")
	case sha256.Sum256(raw) != block.SHA256:
		return damage("SHA-256 mismatch")
	}
	p := parser{b: raw}
	if v := p.byte(); v > Version {
		return nil, &VersionError{Version: int(v)}
	} else if v < 1 {
		p.fail()
	}
	r := &Run{RunInfo: p.facts()}
	r.Block = block
	r.Aborted = p.aborted(r.EndOffset)
	r.Frames = p.frames(r, block.Position)
	if p.bad || len(p.b) != 0 || !r.adds() {
		return damage("not as a writer makes it")
	}
	return r, nil
}

func (p *parser) aborted(end int64) []batch.AbortedTxn {
	n := p.count(minAborted)
	if n == 0 {
		return nil
	}
	txns := make([]batch.AbortedTxn, n)
	for i := range txns {
		txns[i] = batch.AbortedTxn{ProducerID: p.varint(), FirstOffset: p.int64()}
		if txns[i].FirstOffset >= end || i > 0 && batch.AbortedTxn.Compare(txns[i-1], txns[i]) >= 0 {
			p.fail()
			return nil
		}
	}
	return txns
}

func (p *parser) frames(r *Run, limit int64) []Frame {
	frames := make([]Frame, p.count(minFrame))
	position, offset := int64(0), r.BaseOffset
	for i := range frames {
		f := p.frame(position, offset)
		position, offset = f.Position+int64(f.Length), f.EndOffset
		if p.bad || f.Position < headerLen || position > limit {
			p.fail()
			return nil
		}
		frames[i] = f
	}
	return frames
}

func (p *parser) frame(position, offset int64) (f Frame) {
	skip := p.int64()
	f.Length = p.int32()
	f.RawLength = p.int32()
	f.Codec = p.byte()
	f.KeyID = uint32(p.uvarint(math.MaxUint32))
	f.SHA256 = p.digest()
	hole := p.int64()
	if skip > math.MaxInt64-position-math.MaxInt32 || hole > math.MaxInt64-offset {
		p.fail()
		return Frame{}
	}
	f.Position = position + skip
	f.BaseOffset = offset + hole
	f.EndOffset = p.end(f.BaseOffset)
	f.MinTimestamp = p.varint()
	f.MaxTimestamp = p.varint()
	f.Records = int64(p.uvarint(uint64(f.EndOffset - f.BaseOffset)))
	if f.MinTimestamp > f.MaxTimestamp || f.RawLength < batch.HeaderSize || !f.known() {
		p.fail()
	}
	return f
}

// known says whether codec, key and lengths are of this version.
func (f *Frame) known() bool {
	switch {
	case f.KeyID != 0:
		return false
	case f.Codec == codecNone:
		return f.Length == f.RawLength
	case f.Codec == codecZstd:
		return f.Length > 0 && f.Length <= f.RawLength && f.RawLength <= maxUnpacked
	}
	return false
}

// adds says whether the frames add up to the run.
func (r *Run) adds() bool {
	if len(r.Frames) == 0 || r.Frames[0].BaseOffset != r.BaseOffset || r.Frames[len(r.Frames)-1].EndOffset != r.EndOffset {
		return false
	}
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	var records, length int64
	for i := range r.Frames {
		f := &r.Frames[i]
		first, last = min(first, f.MinTimestamp), max(last, f.MaxTimestamp)
		records += f.Records
		length += int64(f.RawLength)
	}
	return first == r.MinTimestamp && last == r.MaxTimestamp && records == r.Records && length == r.Bytes
}

// appendDirectory appends the runs' facts and where their blocks lie; these
// follow each other without gaps, so that lengths say it all.
func appendDirectory(dst []byte, runs []RunInfo) []byte {
	for i := range runs {
		dst = appendFacts(dst, &runs[i])
		dst = binary.AppendUvarint(dst, uint64(runs[i].Block.Length))
		dst = append(dst, runs[i].Block.SHA256[:]...)
	}
	return dst
}

// parseDirectory decodes the directory of an object with that footer, or says what is wrong.
func parseDirectory(raw []byte, f footer) ([]RunInfo, string) {
	p := parser{b: raw}
	runs := make([]RunInfo, f.runs)
	position := int64(f.blocks)
	for i := range runs {
		r := p.facts()
		r.Block = Block{Position: position, Length: p.int32(), SHA256: p.digest()}
		position += int64(r.Block.Length)
		if p.bad || uint64(position) > f.directory {
			return nil, "not as a writer makes it"
		}
		if i > 0 && !follows(&runs[i-1], &r) {
			return nil, "runs out of order"
		}
		runs[i] = r
	}
	if len(p.b) != 0 || uint64(position) != f.directory {
		return nil, "not as a writer makes it"
	}
	return runs, ""
}

func compareRuns(a, b RunInfo) int {
	return cmp.Or(bytes.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Partition.Partition, b.Partition.Partition),
		cmp.Compare(a.BaseOffset, b.BaseOffset))
}

func follows(a, b *RunInfo) bool {
	return compareRuns(*a, *b) < 0 && (a.Partition != b.Partition || a.EndOffset <= b.BaseOffset)
}
