package restore

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// begin notes durably, for every partition whose job hasn't begun, an offset of the target below
// all that the job will append. The order matters where two begin the same job at once: who finds
// no note after it has asked for the end can't have a higher end than the first record of the
// other.
func (r *runner) begin(ctx context.Context) error {
	var fresh []*partitionJob
	for _, t := range r.topics {
		t.job = r.jobName(t)
		for _, j := range t.partitions {
			if j.to.note == nil {
				fresh = append(fresh, j)
			}
		}
	}
	ends, err := r.ends(ctx, fresh)
	if err != nil {
		return err
	}
	if r.ledger, err = ledger.Open(ctx, r.cluster); err != nil {
		return fmt.Errorf("restore: target: %w", err)
	}
	notes := map[string]any{}
	for _, j := range fresh {
		var had ledger.Restore
		ok, err := r.ledger.Get(j.noteKey(), &had)
		if err != nil {
			return fmt.Errorf("restore: target: %w", err)
		}
		if ok && had.TargetTopicID == j.topic.id.String() {
			j.to.note = &had
			continue
		}
		j.to.note = r.newNote(j, ends[j.target()])
		notes[j.noteKey()] = j.to.note
	}
	if err := r.ledger.Put(ctx, notes); err != nil {
		return fmt.Errorf("restore: target: %w", err)
	}
	return nil
}

// ends asks where partitions end, at the high watermark: nothing that is below can be lost again.
func (r *runner) ends(ctx context.Context, js []*partitionJob) (map[rawkafka.Partition]int64, error) {
	ends := map[rawkafka.Partition]int64{}
	if len(js) == 0 {
		return ends, nil
	}
	var ps []rawkafka.Partition
	for _, j := range js {
		ps = append(ps, j.target())
	}
	got, err := r.cluster.ListOffsets(ctx, ps, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Consumer)
	if err != nil {
		return nil, fmt.Errorf("restore: target: end offsets: %w", err)
	}
	for _, j := range js {
		o := got[j.target()]
		if o.Err != nil {
			return nil, j.wrap(j.start(), fmt.Errorf("target: end offset: %w", o.Err))
		}
		ends[j.target()] = o.Offset
	}
	return ends, nil
}

// saveMaps writes the maps of a translated restore into the ledger, and that the partitions are
// done.
func (r *runner) saveMaps(ctx context.Context, res *Result) error {
	entries := map[string]any{}
	now := time.Now().UTC()
	for _, t := range r.topics {
		for _, j := range t.partitions {
			res.Maps = append(res.Maps, j.to.m)
			if j.to.done {
				continue
			}
			raw, err := j.to.m.MarshalBinary()
			if err != nil {
				return j.wrap(j.end, err)
			}
			maps.Copy(entries, ledger.Chunks(j.mapKey(r.info.ClusterID), raw))
			done := *j.to.note
			done.DoneAt, done.Records = &now, j.to.found
			entries[j.noteKey()] = &done
		}
	}
	if err := r.ledger.Put(ctx, entries); err != nil {
		return fmt.Errorf("restore: target: maps: %w", err)
	}
	return nil
}
