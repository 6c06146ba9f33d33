package segment

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
	"github.com/kafkadr/kafkadr/storage/internal/batchtest"
)

func isDamage(err error) bool {
	d := new(DamageError)
	return errors.As(err, &d)
}

func TestEveryByteFlipped(t *testing.T) {
	object, parts, _ := small(t)
	for i := range object {
		for _, bit := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(object)
			bad[i] ^= bit
			if err := verify(bad); !isDamage(err) {
				t.Fatalf("byte %d flipped by %#x: %v", i, bit, err)
			}
			got, err := read(bad)
			if err != nil && !isDamage(err) {
				t.Fatalf("byte %d flipped by %#x: %v", i, bit, err)
			}
			for p, bs := range got { // whatever was yielded is right
				for j, b := range bs {
					if !bytes.Equal(b.Raw(), parts[p][j].Raw()) {
						t.Fatalf("byte %d flipped by %#x: %v: another batch", i, bit, p)
					}
				}
			}
		}
	}
}

func TestEveryLengthTruncated(t *testing.T) {
	object, _, _ := small(t)
	for n := range object {
		if _, err := read(object[:n]); !isDamage(err) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
	}
	if _, err := read(append(bytes.Clone(object), 0)); !isDamage(err) {
		t.Error("a byte behind the end:", err)
	}
	if _, err := Open(bytes.NewReader(object[:200]), int64(len(object))); err == nil {
		t.Error("opened with bytes missing")
	}
}

func TestFramesSwapped(t *testing.T) {
	p := Partition{topic(1), 0}
	object, infos := write(t, Options{FrameBytes: 100}, map[Partition][]batch.Batch{p: {batchtest.Plain(t, 0, 1), batchtest.Plain(t, 1, 1)}}, nil)
	n := (infos[0].Block.Position - headerLen) / 2
	bad := bytes.Clone(object)
	copy(bad[headerLen:], object[headerLen+n:headerLen+2*n])
	copy(bad[headerLen+n:], object[headerLen:headerLen+n])
	err := verify(bad)
	d := new(DamageError)
	if !errors.As(err, &d) || d.Part != "frame" || d.Partition != p || d.EndOffset != 1 {
		t.Error(err)
	}
	if got, err := read(bad); !isDamage(err) || len(got[p]) != 0 {
		t.Error(got, err)
	}
}

// forge makes a segment whose index a hostile writer made, digests right.
func forge(frames []byte, version uint16, change func(*footer), runs ...*Run) []byte {
	object := append(appendHeader(nil), frames...)
	f := footer{blocks: uint64(len(object))}
	infos := make([]RunInfo, len(runs))
	for i, r := range runs {
		raw := appendBlock(nil, r)
		infos[i] = r.RunInfo
		infos[i].Block = Block{Position: int64(len(object)), Length: int32(len(raw)), SHA256: sha256.Sum256(raw)}
		object = append(object, raw...)
	}
	dir := appendDirectory(nil, infos)
	f.directory, f.length, f.runs, f.digest = uint64(len(object)), uint64(len(dir)), uint64(len(runs)), sha256.Sum256(dir)
	if change != nil {
		change(&f)
	}
	object = append(object, dir...)
	end := f.appendTo(nil)
	binary.BigEndian.PutUint64(end[64:], uint64(len(object)+footerLen))
	binary.BigEndian.PutUint16(end[94:], version)
	sum := sha256.Sum256(end[:96])
	copy(end[96:], sum[:])
	return append(object, end...)
}

// honest is a run of one batch that lies behind the header.
func honest(t testing.TB, b batch.Batch) *Run {
	var s summary
	s.add(b, false)
	s.Topic = topic(1)
	return &Run{RunInfo: s.RunInfo, Frames: []Frame{{
		Position: headerLen, Length: int32(b.Len()), RawLength: int32(b.Len()), SHA256: sha256.Sum256(b.Raw()),
		BaseOffset: s.BaseOffset, EndOffset: s.EndOffset, MinTimestamp: s.MinTimestamp, MaxTimestamp: s.MaxTimestamp, Records: s.Records,
	}}}
}

func TestHostile(t *testing.T) {
	testpass.NoRaces(t)
	b := batchtest.Plain(t, 10, 3)
	if err := verify(forge(b.Raw(), Version, nil, honest(t, b))); err != nil {
		t.Fatal("the forger isn't good enough:", err)
	}
	bomb := batchtest.Zipped(t, 4, make([]byte, 64<<20))
	for name, c := range map[string]struct {
		frames []byte
		footer func(*footer)
		run    func(*Run)
	}{
		"many runs":            {b.Raw(), func(f *footer) { f.runs = 1 << 60 }, nil},
		"one run too many":     {b.Raw(), func(f *footer) { f.runs++ }, nil},
		"no runs":              {b.Raw(), func(f *footer) { f.runs = 0 }, nil},
		"directory behind end": {b.Raw(), func(f *footer) { f.directory = 1 << 63 }, nil},
		"long directory":       {b.Raw(), func(f *footer) { f.length = 1 << 62 }, nil},
		"blocks before header": {b.Raw(), func(f *footer) { f.blocks = 0 }, nil},
		"blocks elsewhere":     {b.Raw(), func(f *footer) { f.blocks-- }, nil},
		"gap before blocks":    {append(bytes.Clone(b.Raw()), 0), nil, nil},
		"no frames":            {b.Raw(), nil, func(r *Run) { r.Frames = nil }},
		"frame in the header":  {b.Raw(), nil, func(r *Run) { r.Frames[0].Position = 0 }},
		"frame behind frames":  {b.Raw(), nil, func(r *Run) { r.Frames[0].Position = 1 << 40 }},
		"frame far behind":     {b.Raw(), nil, func(r *Run) { r.Frames[0].Position = 1<<63 - 1 }},
		"long frame":           {b.Raw(), nil, func(r *Run) { r.Frames[0].Length = 1<<31 - 1 }},
		"unknown codec":        {b.Raw(), nil, func(r *Run) { r.Frames[0].Codec = 9 }},
		"unknown key":          {b.Raw(), nil, func(r *Run) { r.Frames[0].KeyID = 1 }},
		"frame twice":          {b.Raw(), nil, func(r *Run) { r.Frames = append(r.Frames, r.Frames[0]) }},
		"other records":        {b.Raw(), nil, func(r *Run) { r.Records--; r.Frames[0].Records-- }},
		"other end":            {b.Raw(), nil, func(r *Run) { r.EndOffset++; r.Frames[0].EndOffset++ }},
		"other base":           {b.Raw(), nil, func(r *Run) { r.BaseOffset--; r.Frames[0].BaseOffset-- }},
		"other timestamps":     {b.Raw(), nil, func(r *Run) { r.MaxTimestamp++; r.Frames[0].MaxTimestamp++ }},
		"other leader epoch":   {b.Raw(), nil, func(r *Run) { r.LeaderEpoch = 3 }},
		"other largest batch":  {b.Raw(), nil, func(r *Run) { r.MaxBatch-- }},
		"hole runs":            {b.Raw(), nil, func(r *Run) { r.HoleRuns = 4 }},
		"frames don't add up":  {b.Raw(), nil, func(r *Run) { r.Bytes++ }},
		"end beyond int64":     {b.Raw(), nil, func(r *Run) { r.BaseOffset = 1<<63 - 1 }},
		"aborted behind end":   {b.Raw(), nil, func(r *Run) { r.Aborted = []batch.AbortedTxn{{ProducerID: 1, FirstOffset: 13}} }},
		"aborted out of order": {b.Raw(), nil, func(r *Run) {
			r.Aborted = []batch.AbortedTxn{{ProducerID: 1, FirstOffset: 5}, {ProducerID: 1, FirstOffset: 4}}
		}},
		"aborted twice": {b.Raw(), nil, func(r *Run) {
			r.Aborted = []batch.AbortedTxn{{ProducerID: 1, FirstOffset: 5}, {ProducerID: 1, FirstOffset: 5}}
		}},
		"not batches":           {make([]byte, b.Len()), nil, func(r *Run) { r.Frames[0].SHA256 = sha256.Sum256(make([]byte, b.Len())) }},
		"wrong CRC":             {reCRC(b), nil, func(r *Run) { r.Frames[0].SHA256 = sha256.Sum256(reCRC(b)) }},
		"bomb, honest length":   {bomb, nil, func(r *Run) { zip(r, bomb, 64<<20) }},
		"bomb, another length":  {bomb, nil, func(r *Run) { zip(r, bomb, int32(len(bomb)+100)) }},
		"bomb, absurd length":   {bomb, nil, func(r *Run) { zip(r, bomb, 1<<31-1) }},
		"compressed is garbage": {b.Raw(), nil, func(r *Run) { r.Frames[0].Codec = codecZstd }},
	} {
		r := honest(t, b)
		if c.run != nil {
			c.run(r)
		}
		object := forge(c.frames, Version, c.footer, r)
		var err error
		made := batchtest.Allocated(func() { err = verify(object) })
		if !isDamage(err) {
			t.Errorf("%s: %v", name, err)
		}
		if limit := uint64(1 << 20); name != "bomb, honest length" && made > limit {
			t.Errorf("%s: %d bytes allocated for an object of %d", name, made, len(object))
		}
	}
}

func reCRC(b batch.Batch) []byte {
	raw := bytes.Clone(b.Raw())
	raw[17]++
	return raw
}

func zip(r *Run, stored []byte, length int32) {
	f := &r.Frames[0]
	f.Codec, f.Length, f.RawLength, f.SHA256 = codecZstd, int32(len(stored)), length, sha256.Sum256(stored)
	r.Bytes = int64(length)
}

func TestHostileRuns(t *testing.T) {
	a, b := batchtest.Plain(t, 10, 3), batchtest.Plain(t, 11, 3)
	second := honest(t, b)
	second.Frames[0].Position += int64(a.Len())
	overlapping := append(bytes.Clone(a.Raw()), b.Raw()...)
	if err := verify(forge(overlapping, Version, nil, honest(t, a), second)); !isDamage(err) {
		t.Error("runs that overlap:", err)
	}
	if err := verify(forge(a.Raw(), Version, nil, honest(t, a), honest(t, a))); !isDamage(err) {
		t.Error("a run twice:", err)
	}
	other := honest(t, a)
	other.Topic = topic(2)
	if err := verify(forge(a.Raw(), Version, nil, honest(t, a), other)); !isDamage(err) {
		t.Error("a frame of two runs:", err)
	}
	if err := verify(forge(a.Raw(), Version, nil, other, honest(t, a))); !isDamage(err) {
		t.Error("runs out of order:", err)
	}
}

func TestVersions(t *testing.T) {
	b := batchtest.Plain(t, 10, 3)
	err := verify(forge(b.Raw(), Version+1, nil, honest(t, b)))
	if v := new(VersionError); !errors.As(err, &v) || v.Version != Version+1 {
		t.Error(err)
	}
	if err := verify(forge(b.Raw(), 0, nil, honest(t, b))); !isDamage(err) {
		t.Error(err)
	}
	block := appendBlock(nil, honest(t, b))
	block[0] = Version + 1
	_, err = ParseRun(block, Block{Position: 1 << 20, Length: int32(len(block)), SHA256: sha256.Sum256(block)})
	if v := new(VersionError); !errors.As(err, &v) || v.Version != Version+1 {
		t.Error(err)
	}
}
