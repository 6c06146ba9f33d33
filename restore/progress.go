package restore

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// progress counts what a run has done.
type progress struct {
	hooks                    Hooks
	started                  time.Time
	records, bytes           atomic.Int64 // archived, found ones included
	visible, produced        atomic.Int64 // by this run
	partitions, retries      atomic.Int64
	totalRecords, totalBytes int64
	totalPartitions          int
}

func newProgress(j *job) *progress {
	p := &progress{hooks: j.cfg.Hooks, started: time.Now()}
	for _, t := range j.topics {
		for _, pj := range t.partitions {
			p.totalRecords += pj.total.records
			p.totalBytes += pj.total.bytes
			p.totalPartitions++
		}
	}
	return p
}

// status is where the run stands.
func (p *progress) status() Status {
	return Status{
		Records: p.records.Load(), Bytes: p.bytes.Load(), TotalRecords: p.totalRecords, TotalBytes: p.totalBytes,
		Partitions: int(p.partitions.Load()), TotalPartitions: p.totalPartitions,
		Retries: p.retries.Load(), Seconds: time.Since(p.started).Seconds(),
	}
}

// report calls OnProgress once a second, until the context ends, and then once more.
func (p *progress) report(ctx context.Context) {
	if p.hooks.OnProgress == nil {
		return
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.hooks.OnProgress(p.status())
		case <-ctx.Done():
			p.hooks.OnProgress(p.status())
			return
		}
	}
}

// share is one partition's part in the progress: what was counted is never counted twice, whatever
// is read again.
type share struct {
	p              *progress
	total          totals
	records, bytes int64
}

// at says that so much of the partition's total is done.
func (s *share) at(records, bytes int64) {
	records, bytes = min(records, s.total.records), min(bytes, s.total.bytes)
	if d := records - s.records; d > 0 {
		s.p.records.Add(d)
		s.records = records
	}
	if d := bytes - s.bytes; d > 0 {
		s.p.bytes.Add(d)
		s.bytes = bytes
	}
}

// limiter bounds bytes per second; nil: no bound.
func limiter(perSecond int64) *rate.Limiter {
	if perSecond <= 0 {
		return nil
	}
	return rate.NewLimiter(rate.Limit(perSecond), int(min(max(perSecond/10, 64<<10), 16<<20)))
}
