package backup

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

const (
	// faultPause is how long a partition that can't be read is left alone,
	// lookPause one that can't be looked at yet.
	faultPause = 5 * time.Second
	lookPause  = 500 * time.Millisecond
)

// judge says whether the source's log still is the one that was archived; if
// not, where it parts and why.
func (p *position) judge(l *source.Log) (parts int64, reason string) {
	if l.End < p.offset {
		return l.End, fmt.Sprintf("its log ends at %d", l.End)
	}
	return l.Parted(source.Last{End: p.lastEnd, Epoch: p.epoch})
}

// examine looks at partitions that the fetcher gave back, or that aren't read
// yet, and reads them on where it is right: from the position, behind a hole,
// in a new history, or not at all. An error is the store's or the context's.
func (e *engine) examine(ctx context.Context, failures []failure) error {
	var suspects []*part
	for _, f := range failures {
		if source.Suspicious(f.err) {
			suspects = append(suspects, f.part)
		} else {
			e.fault(f.part, f.err)
		}
	}
	suspects, err := e.living(ctx, suspects)
	if err != nil || len(suspects) == 0 {
		return err
	}
	logs, err := e.logs(ctx, suspects)
	if err != nil {
		return err
	}
	var truncated []*part
	for _, p := range suspects {
		l := logs[p.Partition]
		if l.Err != nil {
			e.later(p, l.Err)
			continue
		}
		e.mu.Lock()
		_, reason := p.now.judge(l)
		e.mu.Unlock()
		if reason != "" {
			truncated = append(truncated, p)
		} else {
			e.resume(p, l)
		}
	}
	return e.truncate(ctx, truncated, logs)
}

// living leaves out partitions whose incarnation is gone or can't be seen.
func (e *engine) living(ctx context.Context, ps []*part) ([]*part, error) {
	if len(ps) == 0 {
		return nil, nil
	}
	q := source.Query{Cluster: e.c}
	for _, p := range ps {
		if k := p.topic.known(); !slices.Contains(q.Known, k) {
			q.Known, q.Only = append(q.Known, k), append(q.Only, p.Topic)
		}
	}
	l, err := e.look(ctx, q)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var living []*part
	for _, p := range ps {
		switch v := l.Verdicts[p.topic.known()]; {
		case err != nil:
			e.later(p, err)
		case v.State == source.Doubted:
			e.doubted(p)
		case v.State != source.Present:
			e.gone(p.topic)
		case rawkafka.Retriable(v.Now.Err):
			e.later(p, v.Now.Err)
		case v.Now.Err != nil:
			e.fault(p, v.Now.Err)
		default:
			living = append(living, p)
		}
	}
	return living, nil
}

// doubted looks again soon at a partition whose topic no broker has just now.
func (e *engine) doubted(p *part) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p.Turn(source.Unseen)
	p.LookAt(time.Now().Add(lookPause))
}

// logs asks for log starts, true log ends, and the ends of archived epochs.
func (e *engine) logs(ctx context.Context, ps []*part) (map[rawkafka.Partition]*source.Log, error) {
	all := make([]rawkafka.Partition, 0, len(ps))
	epochs := make(map[rawkafka.Partition]int32)
	e.mu.Lock()
	for _, p := range ps {
		all = append(all, p.Partition)
		if p.now.epoch >= 0 {
			epochs[p.Partition] = p.now.epoch
		}
	}
	e.mu.Unlock()
	return source.Logs(ctx, e.c, all, epochs, false)
}

// resume reads on from the position, or from the log start where retention
// has overtaken it.
func (e *engine) resume(p *part, l *source.Log) {
	e.mu.Lock()
	p.fault = nil
	p.Turn(source.Right)
	p.Well()
	if !p.known { // nothing is archived: begin at the log start
		p.known = true
		p.now = newPosition(0, min(l.Start, p.cut))
		p.durable, p.committed = p.now, p.now
	}
	if p.stable < 0 || p.logStart < 0 {
		p.logStart = max(p.logStart, l.Start)
	}
	if !p.seen {
		p.seen, p.begun = true, p.now.offset
	}
	hole := lostToRetention(p.now.offset, min(l.Start, p.cut), l.Start, time.Now())
	lost := hole.EndOffset > hole.BaseOffset
	if lost {
		e.found(p, hole)
	}
	p.epoch = l.CurrentEpoch
	if p.now.offset >= p.cut {
		p.Turn(source.End)
	}
	e.poke()
	e.mu.Unlock()
	if lost {
		e.hooks.hole(p, hole)
	}
	e.reader.Steer(p.Partition)
}

// later looks again at a partition soon, or notes a fault where the error
// doesn't pass in time.
func (e *engine) later(p *part, err error) {
	e.mu.Lock()
	_, since := p.Fail(time.Now())
	wait := rawkafka.Retriable(err) && since < e.patience
	if wait {
		p.Turn(source.Unseen)
		p.LookAt(time.Now().Add(min(max(lookPause, since/4), faultPause))) // looks hold up flushes
	}
	e.mu.Unlock()
	if !wait {
		e.fault(p, err)
	}
}

// due are the partitions that are to be looked at again.
func (e *engine) due(faulted bool) []failure {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []failure
	for _, p := range e.parts {
		if p.Due(time.Now()) && (faulted || p.Stage() != source.Stopped) {
			due = append(due, failure{p, nil})
		}
	}
	return due
}

// fault notes that a partition can't be read.
func (e *engine) fault(p *part, err error) {
	e.mu.Lock()
	p.Turn(source.Stop)
	p.LookAt(time.Now().Add(faultPause))
	p.fault = err
	e.mu.Unlock()
	e.reader.Steer(p.Partition)
	e.cfg.Logger.Warn("partition can't be read", "topic", p.Topic, "partition", p.Partition.Partition, "err", err)
	e.poke()
}

// truncate ends histories and begins new ones from the log start. What was
// read of the old ones is committed first.
func (e *engine) truncate(ctx context.Context, ps []*part, logs map[rawkafka.Partition]*source.Log) error {
	if len(ps) == 0 {
		return nil
	}
	info, err := e.commit(ctx, nil, e.partial)
	if err != nil {
		e.mu.Lock()
		for _, p := range ps { // look again
			e.failures = append(e.failures, failure{p, rawkafka.ErrDiverged})
		}
		e.mu.Unlock()
		return err
	}
	if info.ID != "" {
		e.hooks.commit(info)
	}
	for _, p := range ps {
		e.begin(p, logs[p.Partition])
	}
	return nil
}

// begin ends the partition's history and begins another.
func (e *engine) begin(p *part, l *source.Log) {
	e.mu.Lock()
	at, reason := p.now.judge(l)
	terr := &TruncatedError{Topic: p.Topic, Partition: p.Partition.Partition, ArchivedEnd: p.now.offset, SourceEnd: at, Reason: reason}
	old := p.durable
	old.truncated = fmt.Sprintf("the source has another history from %d on: %s", at, reason)
	p.ended = append(p.ended, old.state(p.key, ""))
	if p.stable >= 0 {
		p.cut = p.stable
	}
	p.now = newPosition(old.history+1, min(l.Start, p.cut))
	p.durable = p.now
	e.uncommitted[p] = struct{}{}
	e.counts.truncated++
	e.counts.ended = append(e.counts.ended, terr)
	e.mu.Unlock()
	e.hooks.truncated(terr)
	e.resume(p, l)
}
