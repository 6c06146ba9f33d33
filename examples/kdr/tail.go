package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/mirror"
)

// tailSaver keeps what a cluster has beyond the fork at which it was left, as lines like kdr cat's.
type tailSaver struct {
	s     *switching
	store *storeFlags
}

// savedTail is saved.json: it is written last, and says that the tail is whole.
type savedTail struct {
	Scope   string `json:"scope"`
	Epoch   int64  `json:"epoch"`
	Cluster string `json:"cluster"`
	// Topics have a tail, with the IDs that they had.
	Topics map[string]string `json:"topics"`
	control.TailResult
	At time.Time `json:"saved_at"`
}

// SaveTail implements failover.TailSaver. A tail that was saved already isn't again: by then the
// log may be another.
func (t *tailSaver) SaveTail(ctx context.Context, r control.TailRequest) (control.TailResult, error) {
	saved, err := t.save(ctx, r)
	if err != nil {
		return control.TailResult{}, err
	}
	return saved.TailResult, nil
}

func (t *tailSaver) save(ctx context.Context, r control.TailRequest) (*savedTail, error) {
	b, err := t.store.bucket(ctx, writing)
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	dir := fmt.Sprintf("tail/%s/%d/", r.Scope, r.Left.Number)
	if saved, err := readSaved(ctx, b, dir+"saved.json"); err != nil || saved != nil {
		return saved, err
	}
	cl, err := kgo.NewClient(r.Cluster.Opts...)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ranges, topics, err := t.tails(ctx, kadm.NewClient(cl), r)
	if err != nil {
		return nil, err
	}
	saved := &savedTail{Scope: r.Scope, Epoch: r.Left.Number, Cluster: r.Cluster.Name, Topics: topics, At: time.Now().UTC()}
	saved.Where = t.store.name() + "/" + dir
	for _, p := range ranges {
		records, bytes, err := saveRange(ctx, b, fmt.Sprintf("%s%s/%d.ndjson", dir, p.topic, p.partition), r.Cluster.Opts, p)
		if err != nil {
			return nil, fmt.Errorf("%s/%d: %w", p.topic, p.partition, err)
		}
		saved.Partitions, saved.Records, saved.Bytes = saved.Partitions+1, saved.Records+records, saved.Bytes+bytes
	}
	raw, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return nil, err
	}
	return saved, b.WriteAll(ctx, dir+"saved.json", raw, nil)
}

func readSaved(ctx context.Context, b *blob.Bucket, key string) (*savedTail, error) {
	raw, err := b.ReadAll(ctx, key)
	if err != nil {
		if no, err := absent(ctx, b, key, err); !no {
			return nil, err
		}
		return nil, nil //nolint:nilnil // there is none yet
	}
	saved := new(savedTail)
	if err := json.Unmarshal(raw, saved); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return saved, nil
}

// tailRange are the offsets of a partition's tail.
type tailRange struct {
	topic     string
	partition int32
	from, end int64
}

// tails are the partitions whose log goes on beyond its fork, and isn't a copy of the active
// cluster's there. Records of transactions that are open still are beyond the end: nobody was told
// that they are there.
func (t *tailSaver) tails(ctx context.Context, adm *kadm.Client, r control.TailRequest) (ranges []tailRange, ids map[string]string, err error) {
	details, err := adm.ListTopics(ctx)
	if err != nil {
		return nil, nil, err
	}
	forks := slices.DeleteFunc(slices.Clone(r.Left.Forks), func(f register.Fork) bool { return !details.Has(f.Topic) })
	names := make(map[string]bool)
	for _, f := range forks {
		names[f.Topic] = true
	}
	ids = make(map[string]string)
	if len(names) == 0 {
		return nil, ids, nil
	}
	topics := slices.Sorted(maps.Keys(names))
	starts, err := adm.ListStartOffsets(ctx, topics...)
	if err != nil {
		return nil, nil, err
	}
	ends, err := adm.ListCommittedOffsets(ctx, topics...)
	if err = errors.Join(err, starts.Error(), ends.Error()); err != nil {
		return nil, nil, err
	}
	copies := t.copies(ctx, r)
	for _, f := range forks {
		start, _ := starts.Lookup(f.Topic, f.Partition)
		end, ok := ends.Lookup(f.Topic, f.Partition)
		if !ok || end.Offset <= f.Offset || copies[f.Topic][f.Partition] {
			continue
		}
		ranges = append(ranges, tailRange{f.Topic, f.Partition, max(f.Offset, start.Offset), end.Offset})
		ids[f.Topic] = details[f.Topic].ID.String()
	}
	return ranges, ids, nil
}

// copies are the partitions that a mirror of the active cluster keeps: what they have beyond the
// fork is that one's.
func (t *tailSaver) copies(ctx context.Context, r control.TailRequest) map[string]map[int32]bool {
	s, err := mirror.Observe(ctx, t.s.mirror.between(r.Left.Active, r.Cluster.Name))
	if err != nil {
		return nil // there is none
	}
	out := make(map[string]map[int32]bool)
	for _, topic := range s.Topics {
		out[topic.Source] = make(map[int32]bool)
		for _, p := range topic.Detail {
			out[topic.Source][p.Partition] = p.State == mirror.Copying
		}
	}
	return out
}

// saveRange writes a partition's tail.
func saveRange(ctx context.Context, b *blob.Bucket, key string, opts []kgo.Opt, p tailRange) (records, size int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // an object that isn't whole is given up
	w, err := b.NewWriter(ctx, key, &blob.WriterOptions{ContentType: "application/x-ndjson"})
	if err != nil {
		return 0, 0, err
	}
	counting := &countingWriter{w: w}
	buffered := bufio.NewWriterSize(counting, 64<<10)
	records, err = copyRange(ctx, buffered, opts, p)
	if err = errors.Join(err, buffered.Flush()); err != nil {
		cancel()
		_ = w.Close()
		return 0, 0, err
	}
	return records, counting.n, w.Close()
}

// copyRange reads a partition's committed records up to an offset below the last stable one: there
// the last offset is a record, or a transaction's end, which is kept to be seen.
func copyRange(ctx context.Context, w io.Writer, opts []kgo.Opt, p tailRange) (records int64, err error) {
	cl, err := kgo.NewClient(append(slices.Clone(opts), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{p.topic: {p.partition: kgo.NewOffset().At(p.from)}}))...)
	if err != nil {
		return 0, err
	}
	defer cl.Close()
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for at := p.from; at < p.end; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return records, err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			if at = r.Offset + 1; r.Offset >= p.end || r.Attrs.IsControl() {
				continue
			}
			if err := enc.Encode(lineOf(r)); err != nil {
				return records, err
			}
			records++
		}
	}
	return records, nil
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
