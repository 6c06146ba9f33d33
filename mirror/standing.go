package mirror

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// report measures rates and calls OnProgress, once a second.
func (e *engine) report(ctx context.Context) error {
	last := time.Now()
	for {
		if err := rawkafka.Sleep(ctx, time.Second); err != nil {
			return err
		}
		now := time.Now()
		e.tick(now.Sub(last).Seconds())
		last = now
		e.hooks.progress(e.status)
	}
}

func (e *engine) tick(seconds float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.parts {
		records, bytes := p.copy.Count()
		p.rateRecords.tick(records, seconds)
		p.rateBytes.tick(bytes, seconds)
	}
}

// unknown is the status of which nothing is known, which isn't that nothing is missing.
func unknown(flow string) Status {
	return Status{
		Flow:      flow,
		RPO:       RPO{SourceAgeMillis: -1},
		Heartbeat: HeartbeatStatus{AgeMillis: -1, LatencyMillis: -1},
		Groups:    GroupStatus{AgeMillis: -1},
	}
}

// status is where the engine stands.
func (e *engine) status() Status {
	now := time.Now()
	s := e.flow.status(now)
	e.mu.Lock()
	keep := e.keep
	e.mu.Unlock()
	if keep != nil {
		s.Groups = keep.groupStatus(now)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s.LeftOut = maps.Clone(e.leftOut)
	s.Heartbeat = e.beats.of(s.Heartbeat, now)
	s.topics(maps.Values(e.topics), now)
	s.unsure(e.wrong())
	return s
}

// status is what is known of the flow alone.
func (fl *flow) status(now time.Time) Status {
	s := unknown(fl.cfg.Name)
	s.SourceCluster, s.TargetCluster, s.Started, s.Seconds = fl.source.ID(), fl.target.ID(), fl.started, now.Sub(fl.started).Seconds()
	s.Retries = fl.hooks.retries.Load()
	fl.hooks.mu.Lock()
	defer fl.hooks.mu.Unlock()
	s.Events, s.Recent = maps.Clone(fl.hooks.counts), slices.Clone(fl.hooks.recent)
	return s
}

// topics takes topics in, with all of their partitions.
func (s *Status) topics(all iter.Seq[*topic], now time.Time) {
	for t := range all {
		ts := TopicStatus{Source: t.source, Target: t.target}
		for _, p := range t.parts {
			p.reached()
			ps := p.status(now)
			ts.add(ps)
			s.RPO.add(p, ps, now)
		}
		s.Totals.sum(ts.Totals)
		s.Topics = append(s.Topics, ts)
	}
	slices.SortFunc(s.Topics, func(a, b TopicStatus) int { return cmp.Compare(a.Source, b.Source) })
}

func (p *part) status(now time.Time) PartitionStatus {
	records, bytes := p.copy.Count()
	return PartitionStatus{
		Partition: p.src.Partition, State: p.state(), Position: p.copy.Position(), Durable: p.copy.Durable(),
		SourceLSO: p.lso, SourceHighWatermark: p.hw, SourceLogStart: p.logStart,
		LagRecords: p.lag(), LagMillis: p.oldest(now).Milliseconds(), LSOLag: max(0, p.hw-p.lso),
		Records: records, Bytes: bytes, RecordsPerSecond: p.rateRecords.value, BytesPerSecond: p.rateBytes.value, Event: p.last,
	}
}

// add takes a partition in.
func (t *TopicStatus) add(p PartitionStatus) {
	t.Detail = append(t.Detail, p)
	one := Totals{
		Partitions: 1, Records: p.Records, Bytes: p.Bytes, RecordsPerSecond: p.RecordsPerSecond, BytesPerSecond: p.BytesPerSecond,
		LagRecords: p.LagRecords, LagMillis: p.LagMillis, LSOLag: p.LSOLag,
	}
	switch p.State {
	case Opening:
		one.Opening = 1
	case Copying:
		one.Copying = 1
	case Stopped:
		one.Stopped = 1
	case Done:
		one.Done = 1
	}
	t.sum(one)
}

func (t *Totals) sum(o Totals) {
	t.Partitions += o.Partitions
	t.Opening += o.Opening
	t.Copying += o.Copying
	t.Stopped += o.Stopped
	t.Done += o.Done
	t.Records += o.Records
	t.Bytes += o.Bytes
	t.RecordsPerSecond += o.RecordsPerSecond
	t.BytesPerSecond += o.BytesPerSecond
	t.LagRecords += o.LagRecords
	t.LagMillis = max(t.LagMillis, o.LagMillis)
	t.LSOLag += o.LSOLag
}

// add takes in what isn't durable of a partition.
func (r *RPO) add(p *part, ps PartitionStatus, now time.Time) {
	if p.why != nil && p.state() == Stopped { // it isn't read: there may be more by now
		r.Unknown++
		r.AgeMillis = max(r.AgeMillis, now.Sub(p.why.Event.Time).Milliseconds())
	} else if p.hw < 0 || p.copy.Durable() < 0 {
		r.Unknown++
	}
	missing := ps.Missing()
	if missing < 0 {
		return
	}
	if p.state() != Stopped {
		r.SourceAgeMillis = max(r.SourceAgeMillis, now.Sub(p.heard).Milliseconds())
	}
	r.Records += missing
	r.AgeMillis = max(r.AgeMillis, ps.LagMillis)
}
