package restore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/storage"
)

// checkOwn looks at the topics that exist, and whether a job that wasn't finished made them. The
// others keep their configs, whatever they are: the plan says where they would refuse records or
// remove them.
func (p *planner) checkOwn(ctx context.Context) error {
	l, err := ledger.Open(ctx, p.cluster)
	var denied *ledger.DeniedError
	if errors.As(err, &denied) {
		p.refuse(clusterConflict("denied", "a translated restore notes on the target where it began: %v", denied))
		return nil
	}
	if err != nil {
		return fmt.Errorf("restore: target: %w", err)
	}
	p.ledger = l
	for _, t := range p.topics {
		if !t.exists {
			t.own = true
			continue
		}
		t.job = p.jobName(t)
		if err := p.notes(t); err != nil {
			p.refuse(topicConflict(t.name, "ledger", "%v", err))
			continue
		}
		now, err := describeTopics(ctx, p.cluster, []string{t.name})
		if err != nil {
			return fmt.Errorf("restore: target: %w", err)
		}
		t.own = t.own || t.empty() && held(now[t.name])
		source := t.configs.final[cfgCleanup]
		if !t.own {
			p.keep(t, now[t.name])
		}
		t.compacts = compacts(now[t.name][cfgCleanup].value)
		t.keyless = t.compacts && !compacts(source)
	}
	return nil
}

// notes reads what the job has noted of a topic's partitions.
func (p *planner) notes(t *topicJob) error {
	for _, j := range t.partitions {
		var n ledger.Restore
		ok, err := p.ledger.Get(j.noteKey(), &n)
		if err != nil {
			return err
		}
		if ok && n.TargetTopicID == t.id.String() {
			j.to.note = &n
			t.own = t.own || n.Created
		}
	}
	return nil
}

// empty says whether the topic's partitions never held a record.
func (t *topicJob) empty() bool {
	for _, j := range t.partitions {
		if j.position > 0 {
			return false
		}
	}
	return true
}

// held says whether a topic's configs are those that a restore sets while it copies: nobody else
// sets all of them.
func held(now map[string]current) bool {
	for key, value := range holds {
		if is, known := now[key]; known && (!is.own || is.value != value) {
			return false
		}
	}
	return true
}

// keep takes the configs of a topic that isn't the job's own, and says what they mean for its
// records.
func (p *planner) keep(t *topicJob, now map[string]current) {
	had := t.configs
	t.configs = topicConfigs{final: map[string]string{}, copying: map[string]string{}}
	for key, c := range now {
		had.final[key] = c.value
	}
	number := func(key string, otherwise int64) int64 {
		if n, err := strconv.ParseInt(now[key].value, 10, 64); err == nil {
			return n
		}
		return otherwise
	}
	limit := number(cfgMaxMessage, defaultMaxMessage)
	for _, j := range t.partitions {
		j.filter.MaxBatch = int(min(limit, math.MaxInt32))
	}
	if n := t.largest(); n > limit {
		p.warn("%s: batches up to %d bytes are split: the topic takes %d (%s); a record that is longer by itself is an error", t.name, n, limit, cfgMaxMessage)
	}
	e, clock := t.expiry(), time.Now()
	if why := had.expires(e, clock); why != "" {
		p.warn("%s: the topic keeps its configs, and may lose restored records soon: %s", t.name, why)
	}
	if now[cfgStampType].value == "LogAppendTime" {
		p.warn("%s: %s is LogAppendTime: restored records get the time at which they are appended", t.name, cfgStampType)
		return
	}
	if e.records == 0 {
		return
	}
	if after := number(cfgAfter, math.MaxInt64); t.newest()-clock.UnixMilli() > after {
		p.refuse(topicConflict(t.name, "timestamps", "records up to %s, and the topic refuses them: %s is %d", time.UnixMilli(t.newest()).UTC().Format(time.RFC3339), cfgAfter, after))
	}
	if before := number(cfgBefore, math.MaxInt64); e.oldest >= 0 && clock.UnixMilli()-e.oldest > before { // -1 is no time
		p.refuse(topicConflict(t.name, "timestamps", "records from %s, and the topic refuses them: %s is %d", time.UnixMilli(e.oldest).UTC().Format(time.RFC3339), cfgBefore, before))
	}
}

// placed finds what the job has appended already, by reading the target from where it began, and
// compares it with the archive.
func (p *planner) placed(ctx context.Context) error {
	conflicts := make(chan Conflict, planWorkers)
	collected := make(chan []Conflict)
	go func() {
		var all []Conflict
		for c := range conflicts {
			all = append(all, c)
		}
		collected <- all
	}()
	err := p.each(ctx, func(ctx context.Context, j *partitionJob) error {
		j.dense()
		if cf, err := p.keys(ctx, j); cf != nil || err != nil {
			if cf != nil {
				conflicts <- *cf
			}
			return err
		}
		if p.ledger == nil || j.to.note == nil {
			return nil
		}
		cf, err := p.resume(ctx, j)
		if cf != nil {
			conflicts <- *cf
		}
		return err
	})
	close(conflicts)
	p.refuse(<-collected...)
	return err
}

// keys looks for a record without a key where the target's topic is compacted, and so refuses it; a
// source that was compacted as well has none.
func (p *planner) keys(ctx context.Context, j *partitionJob) (*Conflict, error) {
	if !j.topic.keyless {
		return nil, nil
	}
	src := p.cfg.Snapshot.Cursor(ctx, j.state.Partition, j.state.History, j.start(), j.end, storage.CursorOptions{})
	defer src.Close()
	rr := &recordReader{src: src, filter: j.filter, next: j.start(), end: j.end}
	for {
		r, err := rr.Next()
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, j.wrap(rr.next, fmt.Errorf("archive: %w", err))
		}
		if r.Key == nil {
			cf := j.conflict(r.Offset, "null_key", "a record without a key; the target's topic is compacted and refuses it")
			return &cf, nil
		}
	}
}

// dense forgets the holes: a translated restore makes none.
func (j *partitionJob) dense() {
	j.total.holeRuns, j.total.holeOffsets = 0, 0
	j.todo = j.total
}

// resume derives how far a job that was begun has come.
func (p *planner) resume(ctx context.Context, j *partitionJob) (*Conflict, error) {
	if j.to.note.DoneAt != nil {
		m, err := j.stored(p.ledger, p.info.ClusterID)
		if err != nil {
			p.warn("%s: the map in the ledger can't be read, and is derived again: %v", j.target(), err)
		}
		if m != nil {
			j.to.m, j.to.done, j.to.found, j.settled = m, true, j.to.note.Records, true
			j.todo = totals{}
			if p.cfg.VerifyTarget {
				return p.sameContent(ctx, j)
			}
			return nil, nil
		}
	}
	mp, err := newMapping(j.id(p.info.ClusterID), j.start(), j.to.note.First)
	if err != nil {
		return nil, j.wrap(j.start(), err)
	}
	for at, err := range exactcopy.ReadPlaced(ctx, p.cluster, j.target(), j.topic.job, mp.checkpoint(), math.MaxInt64) {
		if errors.Is(err, exactcopy.ErrDoubled) {
			cf := j.conflict(j.start(), "doubled", "%v", err)
			return &cf, nil
		}
		if err != nil {
			return nil, j.wrap(j.start(), err)
		}
		mp.placed(at)
	}
	j.to.found = mp.checkpoint().Ordinal
	return p.left(ctx, j, mp)
}

// left adds up what is left of a job, and compares what is there.
func (p *planner) left(ctx context.Context, j *partitionJob, mp *mapping) (*Conflict, error) {
	from, err := j.seek(ctx, p.cfg.Snapshot, mp, j.to.found)
	var cf *conflictError
	if errors.As(err, &cf) {
		return &cf.Conflict, nil
	}
	if err != nil {
		return nil, err
	}
	if j.to.m, err = mp.soFar(); err != nil {
		c := j.conflict(from, "foreign_records", "%v", err)
		return &c, nil
	}
	more, err := j.more(ctx, p.cfg.Snapshot, from)
	switch {
	case err != nil:
		return nil, j.wrap(from, err)
	case !more:
		j.todo = totals{}
	case j.filter.Filtered():
		j.todo, _, err = j.scan(ctx, p.cfg.Snapshot, from)
	default:
		j.todo, err = j.sum(ctx, p.cfg.Snapshot, from)
	}
	j.todo.holeRuns, j.todo.holeOffsets = 0, 0
	if err != nil {
		return nil, j.wrap(from, err)
	}
	return p.sameContent(ctx, j)
}

func (p *planner) sameContent(ctx context.Context, j *partitionJob) (*Conflict, error) {
	cmp := &comparer{cluster: p.cluster, snapshot: p.cfg.Snapshot, job: j}
	return cmp.translated(ctx, j.to.m, p.cfg.VerifyTarget)
}

// roundTrip measures the target.
func (p *planner) roundTrip(ctx context.Context) error {
	c, err := p.newCopier(ctx, p.cluster, nil)
	if err != nil {
		return err
	}
	defer c.Close()
	rtt, err := c.RoundTrip(ctx)
	if err != nil {
		return fmt.Errorf("restore: target: round trip: %w", err)
	}
	p.plan.RoundTrip = millis.Duration(max(rtt, time.Microsecond))
	return nil
}
