package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// seen is a record as a consumer sees it.
type seen struct {
	digest [sha256.Size]byte
	ours   bool // the copy wrote it
}

// compare compares the last records that the standby holds with the source's at the same offsets.
// The event is empty where they are the same.
func (fl *flow) compare(ctx context.Context, c copied, f *facts) (Event, error) {
	lo := max(f.Start, f.standbyStart, f.note.Start)
	for _, back := range []int64{1, 100, 10_000} {
		if back == 1 && !f.note.known() { // one may be the same by chance
			continue
		}
		from := max(lo, f.standbyEnd-back)
		if from >= f.standbyEnd {
			break
		}
		here, there, err := fl.bothSides(ctx, c, f, from)
		if errors.Is(err, kerr.OffsetOutOfRange) { // retention has just taken them
			break
		}
		if err != nil {
			return Event{}, err
		}
		common, ev := c.differ(f, here, there)
		if at, ok := here.last(); ok && ev.Kind == "" && common > 0 && !f.note.known() && !here.records[at].ours {
			return Event{
				Kind: ForeignWriter, Offset: f.standbyEnd, Other: at,
				Detail: "nothing says whose copy this is: the records are the source's, but no copy of that cluster has written them",
			}, nil
		}
		if ev.Kind != "" || common > 0 {
			return ev, nil
		}
	}
	if f.note.known() || f.Start >= f.standbyEnd && f.standbyStart >= f.standbyEnd {
		return Event{}, nil
	}
	return Event{
		Kind: ForeignWriter, Offset: f.standbyEnd, Other: f.standbyStart,
		Detail: "nothing says whose copy this is, and no record is left on both sides to compare",
	}, nil
}

// bothSides reads what the standby holds from an offset on, and the source's at the same offsets.
func (fl *flow) bothSides(ctx context.Context, c copied, f *facts, from int64) (here, there span, err error) {
	if here, err = fl.readCopy(ctx, c, f, from); err != nil {
		return here, there, fmt.Errorf("compare: target: %w", err)
	}
	if there, err = readSeen(ctx, fl.near, c.src, from, f.standbyEnd, rawkafka.ReadCommitted, c.log, nobodys); err != nil {
		return here, there, fmt.Errorf("compare: source: %w", err)
	}
	return here, there, nil
}

// readCopy reads what the standby holds, at either isolation level the same: but for what it has
// from the time when it was the source, of which the other side was a copy without aborted records.
func (fl *flow) readCopy(ctx context.Context, c copied, f *facts, from int64) (span, error) {
	turned := min(f.note.Turned, f.standbyEnd)
	if from >= turned {
		return readSeen(ctx, fl.far, c.dst, from, f.standbyEnd, rawkafka.ReadUncommitted, c.copyLog, fl.owns(c))
	}
	s, err := readSeen(ctx, fl.far, c.dst, from, turned, rawkafka.ReadCommitted, c.copyLog, fl.owns(c))
	if err != nil || s.to < turned || turned == f.standbyEnd {
		return s, err
	}
	rest, err := readSeen(ctx, fl.far, c.dst, turned, f.standbyEnd, rawkafka.ReadUncommitted, c.copyLog, fl.owns(c))
	s.to = rest.to
	if rest.from > turned { // retention has just taken what is before
		s.from = rest.from
	}
	maps.Copy(s.records, rest.records)
	maps.Copy(s.markers, rest.markers)
	return s, err
}

// mostShifted bounds how much is compared behind a log end that wasn't where it was to be.
const mostShifted = 100_000

// whose says what lies behind the offset where the copier found the standby's log elsewhere than it
// was to be. Another mirror of the flow may have been there first: then all of it is the copy's,
// and the source's. An equal last record says nothing: records may be all alike. Unless all could
// be compared, it is what the copier said.
func (fl *flow) whose(ctx context.Context, c copied, f *facts, shifted Event) (Event, error) {
	if f.standbyEnd-shifted.Offset > mostShifted || shifted.Offset < max(f.Start, f.standbyStart) {
		return shifted, nil
	}
	here, there, err := fl.bothSides(ctx, c, f, shifted.Offset)
	if errors.Is(err, kerr.OffsetOutOfRange) {
		return shifted, nil
	}
	if err != nil {
		return Event{}, err
	}
	if at := here.foreign(); at >= 0 {
		return Event{Kind: ForeignWriter, Offset: f.standbyEnd, Other: at, Detail: fmt.Sprintf("somebody else wrote the record at %d on the standby", at)}, nil
	}
	whole := here.from <= shifted.Offset && there.from <= shifted.Offset && here.to >= f.standbyEnd && there.to >= f.standbyEnd
	if _, ev := c.differ(f, here, there); ev.Kind != "" || !whole {
		return shifted, nil
	}
	return Event{}, nil
}

// foreign is the first offset of a record that the copy didn't write, or -1.
func (s *span) foreign() int64 {
	at := int64(-1)
	for offset, r := range s.records {
		if !r.ours && (at < 0 || offset < at) {
			at = offset
		}
	}
	return at
}

// beyond looks whose records the standby has beyond the source's end.
func (fl *flow) beyond(ctx context.Context, c copied, f *facts, ev *Event) error {
	s, err := readSeen(ctx, fl.far, c.dst, max(f.End, f.standbyStart), f.standbyEnd, rawkafka.ReadUncommitted, c.copyLog, fl.owns(c))
	if err != nil {
		return fmt.Errorf("compare: target: %w", err)
	}
	for offset, r := range s.records {
		if !r.ours && (ev.Kind != ForeignWriter || offset < ev.Other) {
			*ev = Event{Kind: ForeignWriter, Offset: f.standbyEnd, Other: offset, Detail: fmt.Sprintf("the record at %d on the standby isn't the source's, whose log ends at %d", offset, f.End)}
		}
	}
	return nil
}

// claimless makes a foreign writer of an event of a log that nothing says whose copy it is, where
// the copy hasn't written its last records.
func (fl *flow) claimless(ctx context.Context, c copied, f *facts, ev *Event) error {
	from := max(f.standbyStart, f.standbyEnd-100)
	if from >= f.standbyEnd {
		return nil
	}
	s, err := readSeen(ctx, fl.far, c.dst, from, f.standbyEnd, rawkafka.ReadUncommitted, c.copyLog, fl.owns(c))
	if err != nil {
		return fmt.Errorf("compare: target: %w", err)
	}
	if at, ok := s.last(); !ok || !s.records[at].ours {
		*ev = Event{Kind: ForeignWriter, Offset: f.standbyEnd, Other: f.standbyStart, Detail: "nothing says whose copy this is, and the source has no record left to compare"}
	}
	return nil
}

// span is what was read of a log: the records in it that a consumer sees, by offset, from its log
// start to where reading ended.
type span struct {
	from, to int64
	records  map[int64]seen
	markers  map[int64]bool // offsets that control records take
}

// last is the offset of the last record, if there is one.
func (s *span) last() (at int64, ok bool) {
	for offset := range s.records {
		at, ok = max(at, offset), true
	}
	return at, ok
}

// differ compares what both sides hold. A compacted log may lack records that the other still has,
// but then nothing is in their place.
func (c copied) differ(f *facts, here, there span) (common int, ev Event) {
	from, to := max(here.from, there.from), min(here.to, there.to)
	at := int64(-1)
	ours := true
	wrong := func(offset int64) {
		if at < 0 || offset < at {
			at, ours = offset, here.records[offset].ours || here.records[offset].digest == [sha256.Size]byte{}
		}
	}
	for offset, a := range here.records {
		if offset < from || offset >= to {
			continue
		}
		b, ok := there.records[offset]
		switch {
		case ok && a.digest == b.digest:
			common++
		case ok, !c.compacted:
			wrong(offset)
		}
	}
	for offset := range there.records {
		if _, ok := here.records[offset]; !ok && (!c.compacted || here.markers[offset]) && offset >= from && offset < to {
			wrong(offset)
		}
	}
	switch {
	case at < 0:
		return common, ev
	case here.markers[at]:
		return common, Event{Kind: Shifted, Offset: f.standbyEnd, Other: at, Detail: fmt.Sprintf("there is a hole at %d on the standby, and a record at the source", at)}
	case f.note.known() && ours:
		return common, Event{Kind: Truncated, Offset: f.standbyEnd, Other: at, Detail: fmt.Sprintf("the source has another record at %d than the one that was mirrored", at)}
	}
	return common, Event{Kind: ForeignWriter, Offset: f.standbyEnd, Other: at, Detail: fmt.Sprintf("the record at %d on the standby isn't the source's", at)}
}

// owns says which producers on the standby are the copy's.
func (fl *flow) owns(c copied) func(int64) bool {
	return func(pid int64) bool { return exactcopy.Owns(copyID(fl.source.ID()), c.dst, pid) }
}

func nobodys(int64) bool { return false }

// readSeen reads the visible records of [from, to), as far as the high watermark or last stable
// offset.
func readSeen(ctx context.Context, c *rawkafka.Cluster, p rawkafka.Partition, from, to int64, isolation int8, log rawkafka.Log, owns func(int64) bool) (span, error) {
	s := span{from: from, to: from, records: make(map[int64]seen), markers: make(map[int64]bool)}
	var tracker batch.AbortTracker
	for s.to < to {
		a, void, err := c.Read(ctx, p, s.to, rawkafka.ReadConfig{Isolation: isolation, Log: &log})
		if err != nil {
			return s, err
		}
		s.from = max(s.from, a.LogStartOffset)
		raw, err := batch.ConvertLegacy(a.RecordBatches)
		if err != nil {
			return s, err
		}
		for _, t := range a.AbortedTransactions {
			tracker.Add(batch.AbortedTxn{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset})
		}
		before := s.to
		if err := s.take(raw, &tracker, to, owns); err != nil {
			return s, err
		}
		if s.to == before { // what compaction left, or the end of what can be read
			end := a.HighWatermark
			if isolation == rawkafka.ReadCommitted {
				end = a.LastStableOffset
			}
			if void {
				s.to = max(s.to, min(to, end))
			}
			return s, nil
		}
	}
	return s, nil
}

// take takes whole batches in, as they would be copied.
func (s *span) take(raw []byte, tracker *batch.AbortTracker, to int64, owns func(int64) bool) error {
	var whole int
	end := s.to
	ours := make(map[int64]bool) // by base offset of the batch
	var bases []int64
	for b, err := range batch.All(raw) {
		if errors.Is(err, batch.ErrShort) {
			break
		}
		if err != nil {
			return err
		}
		whole += b.Len()
		end = max(end, min(b.EndOffset(), to))
		ours[b.BaseOffset()] = owns(b.ProducerID())
		bases = append(bases, b.BaseOffset())
		if b.Control() {
			s.markers[b.BaseOffset()] = true
		}
	}
	ops := copyops.New(standby.NewBatches(raw[:whole], tracker), copyops.Filter{}, s.to, end)
	defer ops.Close()
	for {
		o, err := ops.Next()
		if errors.Is(err, io.EOF) {
			s.to = end
			return nil
		}
		if err != nil {
			return err
		}
		if o.Hole() {
			continue
		}
		rs, err := batch.Decode(o.Batch, 0)
		if err != nil {
			return err
		}
		i, ok := slices.BinarySearch(bases, o.Base)
		if !ok {
			i--
		}
		for _, r := range rs {
			if r.Offset < to {
				s.records[r.Offset] = seen{digest: digestOf(r), ours: i >= 0 && ours[bases[i]]}
			}
		}
	}
}

// digestOf is of all that a consumer sees of a record, but its offset.
func digestOf(r *kgo.Record) (d [sha256.Size]byte) {
	var buf bytes.Buffer
	field := func(b []byte) {
		n := int64(len(b))
		if b == nil {
			n = -1
		}
		_ = binary.Write(&buf, binary.BigEndian, n)
		buf.Write(b)
	}
	_ = binary.Write(&buf, binary.BigEndian, r.Timestamp.UnixMilli())
	field(r.Key)
	field(r.Value)
	for _, h := range r.Headers {
		field([]byte(h.Key))
		field(h.Value)
	}
	return sha256.Sum256(buf.Bytes())
}
