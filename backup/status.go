package backup

import (
	"cmp"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/millis"
)

// status is where the engine stands.
func (e *engine) status() Status {
	wrong, _ := e.c.Wrong()
	e.mu.Lock()
	defer e.mu.Unlock()
	s := Status{
		WrongCluster: wrong,
		Snapshot:     e.last.full, Committed: e.last.any, SnapshotAge: -1, LSOLag: 0,
		Records: e.counts.records, Bytes: e.counts.bytes, Objects: e.counts.objects,
		Seconds: time.Since(e.started).Seconds(),
		Holes:   e.counts.holes, Retries: e.hooks.retries.Load(), StoreErrors: e.counts.errors, Truncated: e.counts.truncated,
	}
	if !s.Snapshot.CreatedAt.IsZero() {
		s.SnapshotAge = millis.Duration(time.Since(s.Snapshot.CreatedAt))
	}
	for _, p := range e.parts {
		if p.gone() {
			continue
		}
		s.Partitions++
		if p.fault != nil {
			s.Faulted++
		}
		s.LagRecords += p.lag()
		if p.stable >= 0 {
			s.TotalRecords += max(0, p.cut-p.begun)
		}
		if lag := p.highWatermark - p.lastStable; p.lastStable >= 0 && lag > s.LSOLag {
			s.LSOLag, s.LSOLagPartition = lag, p.String()
		}
	}
	return s
}

// faults are the partitions that can't be read; e.mu is held.
func (e *engine) faults() []error {
	var errs []*PartitionError
	for _, p := range e.parts {
		if p.fault != nil && !p.gone() {
			errs = append(errs, &PartitionError{Job: "backup", Topic: p.Topic, Partition: p.Partition.Partition, Offset: p.now.offset, Op: "read", Err: p.fault})
		}
	}
	slices.SortFunc(errs, func(a, b *PartitionError) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	out := make([]error, len(errs))
	for i := range errs {
		out[i] = errs[i]
	}
	return out
}

// takeFailures are those since the last call.
func (e *engine) takeFailures() []failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	fs := e.failures
	e.failures = nil
	return fs
}

func (e *engine) isBroken() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.broken
}

// done says whether every partition has reached its cut, or can't.
func (e *engine) done() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.broken != nil || len(e.failures) > 0 {
		return false
	}
	for _, p := range e.parts {
		if p.now.offset < p.cut && p.fault == nil && !p.gone() {
			return false
		}
	}
	return true
}

// crowded says whether many closed segments wait for a commit.
func (e *engine) crowded() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.closed) >= maxClosed/2
}
