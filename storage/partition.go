package storage

import (
	"context"
	"fmt"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// maxReason bounds what a state's Fault and Truncated say, in bytes.
const maxReason = 4 << 10

// partition adds runs and a new state to a partition's history.
func (b *builder) partition(ctx context.Context, p PartitionState, runs []*storedRun) error {
	live, known, err := b.known(ctx, p.Topic)
	if err != nil {
		return err
	}
	if !known {
		return &ChangeError{Partition: p.Partition, Offset: p.EndOffset, Reason: "its topic is not known"}
	}
	st, err := b.begin(ctx, p, live)
	if err != nil {
		return err
	}
	old := *st
	if err := st.take(p, &old); err != nil {
		return err
	}
	if err := b.addRuns(ctx, st, runs, p.Holes); err != nil {
		return err
	}
	if err := b.dropRuns(ctx, st); err != nil {
		return err
	}
	if err := b.holes(ctx, st, p.Holes); err != nil {
		return err
	}
	if newest, err := b.newest(ctx, p); err != nil {
		return err
	} else if live && newest {
		b.info.Records += st.Records - old.Records
		b.info.Bytes += st.Bytes - old.Bytes
	}
	return b.t.Set(ctx, stateKey(p.Partition, p.History), st.encode())
}

// begin is the state so far. A new history takes the place of the one before in the counts.
func (b *builder) begin(ctx context.Context, p PartitionState, live bool) (*state, error) {
	st, err := b.state(ctx, p.Partition, p.History)
	if err != nil || st != nil {
		return st, err
	}
	st = &state{PartitionState: PartitionState{Partition: p.Partition, History: p.History}}
	if p.Partition.Partition < 0 || p.History < 0 {
		return nil, &ChangeError{Partition: p.Partition, Reason: fmt.Sprintf("history %d", p.History)}
	}
	if p.History == 0 {
		if live {
			b.info.Partitions++
		}
		return st, nil
	}
	before, err := b.state(ctx, p.Partition, p.History-1)
	if err != nil {
		return nil, err
	}
	if before == nil {
		return nil, &ChangeError{Partition: p.Partition, Reason: fmt.Sprintf("history %d without history %d", p.History, p.History-1)}
	}
	if live {
		b.info.Records -= before.Records
		b.info.Bytes -= before.Bytes
	}
	return st, nil
}

func (b *builder) state(ctx context.Context, p segment.Partition, history int32) (*state, error) {
	key := stateKey(p, history)
	raw, ok, err := b.t.Get(ctx, key)
	if err != nil || !ok {
		return nil, err
	}
	return decodeState(key, raw)
}

// newest says whether no later history is stored.
func (b *builder) newest(ctx context.Context, p PartitionState) (bool, error) {
	later, err := b.state(ctx, p.Partition, p.History+1)
	return later == nil, err
}

// take takes the fields that are the caller's.
func (s *state) take(p PartitionState, old *state) error {
	fail := func(offset int64, format string, args ...any) error {
		return &ChangeError{Partition: p.Partition, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case p.StartOffset < 0 || p.EndOffset < p.StartOffset:
		return fail(p.StartOffset, "it ends at %d", p.EndOffset)
	case p.StartOffset < old.StartOffset:
		return fail(p.StartOffset, "the start offset goes back from %d", old.StartOffset)
	case p.EndOffset < old.EndOffset:
		return fail(p.EndOffset, "the end offset goes back from %d", old.EndOffset)
	case len(p.Fault) > maxReason || len(p.Truncated) > maxReason:
		return fail(p.EndOffset, "a reason of more than %d bytes", maxReason)
	}
	s.StartOffset, s.EndOffset, s.FirstOffset, s.LeaderEpoch = p.StartOffset, p.EndOffset, p.FirstOffset, p.LeaderEpoch
	s.Fault, s.Truncated = p.Fault, p.Truncated
	return nil
}

// addRuns checks that the runs chain and that holes explain every offset up to the end that no run
// covers.
func (b *builder) addRuns(ctx context.Context, st *state, runs []*storedRun, holes []Hole) error {
	if err := checkHoles(st, holes); err != nil {
		return err
	}
	for _, r := range runs {
		r.History = st.History
		if err := st.chain(r, holes); err != nil {
			return err
		}
		if err := b.t.Set(ctx, runKey(r.Partition, r.History, r.BaseOffset), r.encode()); err != nil {
			return err
		}
		st.add(r)
	}
	if n := len(runs); n > 0 && st.EndOffset <= runs[n-1].BaseOffset {
		return &ChangeError{Partition: st.Partition, Offset: st.EndOffset, Reason: "the end offset is below the last run"}
	}
	if at := uncovered(holes, max(st.RunEnd, st.StartOffset), st.EndOffset); at >= 0 {
		return &ChangeError{Partition: st.Partition, Offset: at, Reason: "no run and no hole has the offset"}
	}
	return nil
}

func (s *state) chain(r *storedRun, holes []Hole) error {
	if r.BaseOffset < 0 || r.EndOffset <= r.BaseOffset || r.Block.Length <= 0 {
		return &ChangeError{Partition: s.Partition, Offset: r.BaseOffset, Reason: fmt.Sprintf("a run that ends at %d", r.EndOffset)}
	}
	if r.BaseOffset < s.RunEnd {
		return &ChangeError{Partition: s.Partition, Offset: r.BaseOffset, Reason: fmt.Sprintf("a run inside its history, which ends at %d", s.RunEnd)}
	}
	if at := uncovered(holes, max(s.RunEnd, s.StartOffset), r.BaseOffset); at >= 0 {
		return &ChangeError{Partition: s.Partition, Offset: at, Reason: fmt.Sprintf("the next run begins at %d, and no hole has the offset", r.BaseOffset)}
	}
	return nil
}

func (s *state) add(r *storedRun) {
	if s.Runs == 0 {
		s.FirstRunEnd = r.EndOffset
	}
	if s.RunEnd == 0 {
		s.MinTimestamp, s.MaxTimestamp = r.MinTimestamp, r.MaxTimestamp
	}
	s.Runs++
	s.RunEnd = r.EndOffset
	s.Records += r.Records
	s.Bytes += r.Bytes
	s.Missing += r.Missing
	s.HoleRuns += r.HoleRuns
	s.MinTimestamp, s.MaxTimestamp = min(s.MinTimestamp, r.MinTimestamp), max(s.MaxTimestamp, r.MaxTimestamp)
	s.MaxBatch = max(s.MaxBatch, r.MaxBatch)
}

// dropRuns takes the runs that lie wholly below the start offset out of the snapshot. Their objects
// stay known, without runs, since older snapshots name them.
func (b *builder) dropRuns(ctx context.Context, st *state) error {
	if st.Runs == 0 || st.StartOffset < st.FirstRunEnd {
		return nil
	}
	var gone []*storedRun
	st.FirstRunEnd = 0
	prefix := runsKey(st.Partition, st.History)
	for it, err := range b.t.Scan(ctx, prefix, after(prefix)) {
		if err != nil {
			return err
		}
		r, err := decodeStoredRun(it.Key, it.Value)
		if err != nil {
			return err
		}
		if r.EndOffset > st.StartOffset {
			st.FirstRunEnd = r.EndOffset
			break
		}
		gone = append(gone, r)
	}
	for _, r := range gone {
		if err := b.dropRun(ctx, st, r); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) dropRun(ctx context.Context, st *state, r *storedRun) error {
	st.Runs--
	st.Records -= r.Records
	st.Bytes -= r.Bytes
	st.Missing -= r.Missing
	st.HoleRuns -= r.HoleRuns
	if err := b.t.Delete(ctx, runKey(r.Partition, r.History, r.BaseOffset)); err != nil {
		return err
	}
	key := objectKey(r.Generation, r.Number)
	raw, ok, err := b.t.Get(ctx, key)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("%w: a run's object isn't named", wire.ErrMalformed)
	}
	o, err := decodeObject(raw)
	if err != nil {
		return err
	}
	o.Runs--
	return b.t.Set(ctx, key, o.encode())
}
