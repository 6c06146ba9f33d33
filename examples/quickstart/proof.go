package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage"
)

// prove reads the whole second cluster, at both isolation levels, and holds
// every record against the ledger.
func prove(ctx context.Context, s *story, snapshot *storage.Snapshot, second *kfake.Cluster, l *ledger) error {
	committedView, err := readAll(ctx, second, kgo.ReadCommitted(), topics...)
	if err != nil {
		return err
	}
	uncommittedView, err := readAll(ctx, second, kgo.ReadUncommitted(), topics...)
	if err != nil {
		return err
	}
	for _, p := range l.places() {
		ends, err := endOffsets(ctx, snapshot, p.topic)
		if err != nil {
			return err
		}
		want := l.expected(p, ends[p], committedView[p])
		got := content(committedView[p])
		s.check(digestOf(want) == digestOf(got), "%-11s %6d records below %6d: expected %s, found %s", p, len(got), ends[p], short(want), short(got))
		s.check(digestOf(got) == digestOf(content(uncommittedView[p])), "%-11s reads the same at read_uncommitted: no filler, nothing aborted", p)
	}
	return nil
}

// expected is what a partition must hold below end, by offset. Where the
// applications can't know, what was found decides: a record in doubt may or
// may not be there, and a compacted topic may lack what a later record of the
// same key replaced.
func (l *ledger) expected(p place, end int64, found map[int64]*kgo.Record) map[int64][sha256.Size]byte {
	want := make(map[int64][sha256.Size]byte)
	replaced := l.replaced(p, end)
	for offset, e := range l.entries[p] {
		optional := e.fate == doubtful || replaced[offset]
		if offset < end && e.fate != aborted && (!optional || found[offset] != nil) {
			want[offset] = e.digest
		}
	}
	for offset, r := range found {
		if _, known := l.entries[p][offset]; !known && l.unacked[digest(r)] > 0 {
			want[offset] = digest(r) // written, although the ack never came
		}
	}
	return want
}

// replaced are the offsets that compaction may have removed.
func (l *ledger) replaced(p place, end int64) map[int64]bool {
	all := make(map[int64]bool)
	if p.topic != profiles {
		return all
	}
	last := make(map[string]int64)
	for _, offset := range slices.Sorted(maps.Keys(l.entries[p])) {
		key := l.entries[p][offset].key
		if before, ok := last[key]; ok {
			all[before] = true
		}
		if offset < end {
			last[key] = offset
		}
	}
	return all
}

// nextVisible is the first record from offset on, below end, that a
// read_committed consumer sees.
func (l *ledger) nextVisible(p place, offset, end int64) (int64, bool) {
	for _, o := range slices.Sorted(maps.Keys(l.entries[p])) {
		if o >= offset && o < end && l.entries[p][o].fate == committed {
			return o, true
		}
	}
	return 0, false
}

// unflushed lists what the first cluster had acked and the archive not yet:
// what this disaster cost.
func unflushed(ctx context.Context, s *story, snapshot *storage.Snapshot, l *ledger, stopped time.Time) error {
	total := 0
	var oldest time.Duration
	for _, p := range l.places() {
		ends, err := endOffsets(ctx, snapshot, p.topic)
		if err != nil {
			return err
		}
		var offsets []int64
		for offset, e := range l.entries[p] {
			if offset >= ends[p] && e.fate == committed {
				offsets = append(offsets, offset)
				oldest = max(oldest, stopped.Sub(e.acked))
			}
		}
		if total += len(offsets); len(offsets) > 0 {
			s.say("%-11s %5d records, offsets %d to %d", p, len(offsets), slices.Min(offsets), slices.Max(offsets))
		}
	}
	s.say("in all %d records; the oldest was acked %s before the stop", total, oldest.Round(time.Millisecond))
	return nil
}

// endOffsets are the offsets at which the snapshot ends.
func endOffsets(ctx context.Context, snapshot *storage.Snapshot, topic string) (map[place]int64, error) {
	ends := make(map[place]int64)
	for t, err := range snapshot.Topics(ctx) {
		if err != nil {
			return nil, err
		}
		if t.Name != topic {
			continue
		}
		for p, err := range snapshot.Partitions(ctx, t.ID) {
			if err != nil {
				return nil, err
			}
			ends[place{topic, p.Partition.Partition}] = p.EndOffset
		}
	}
	return ends, nil
}

// readAll reads everything that a consumer sees of topics.
func readAll(ctx context.Context, c *kfake.Cluster, level kgo.IsolationLevel, topics ...string) (map[place]map[int64]*kgo.Record, error) {
	cl, err := kgo.NewClient(append(clientOpts(c), kgo.ConsumeTopics(topics...),
		kgo.FetchIsolationLevel(level), kgo.KeepControlRecords(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := kadm.NewClient(cl).ListEndOffsets(ctx, topics...)
	if err != nil {
		return nil, err
	}
	all := make(map[place]map[int64]*kgo.Record)
	missing := make(map[place]bool)
	ends.Each(func(o kadm.ListedOffset) { missing[place{o.Topic, o.Partition}] = o.Offset > 0 })
	for slices.Contains(slices.Collect(maps.Values(missing)), true) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %v: %w", topics, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := place{r.Topic, r.Partition}
			if end, _ := ends.Lookup(r.Topic, r.Partition); r.Offset+1 >= end.Offset {
				missing[p] = false
			}
			if r.Attrs.IsControl() {
				return
			}
			if all[p] == nil {
				all[p] = make(map[int64]*kgo.Record)
			}
			all[p][r.Offset] = r
		})
	}
	return all, nil
}

// content are the digests of records, by offset.
func content(records map[int64]*kgo.Record) map[int64][sha256.Size]byte {
	all := make(map[int64][sha256.Size]byte)
	for offset, r := range records {
		all[offset] = digest(r)
	}
	return all
}

// digestOf is one SHA-256 over offsets and records, in order.
func digestOf(records map[int64][sha256.Size]byte) [sha256.Size]byte {
	h := sha256.New()
	for _, offset := range slices.Sorted(maps.Keys(records)) {
		number(h, offset)
		d := records[offset]
		_, _ = h.Write(d[:])
	}
	return [sha256.Size]byte(h.Sum(nil))
}

func short(records map[int64][sha256.Size]byte) string {
	d := digestOf(records)
	return fmt.Sprintf("%x", d[:6])
}
