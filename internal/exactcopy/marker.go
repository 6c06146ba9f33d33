package exactcopy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// maxMarkers bounds one WriteTxnMarkers request; the broker takes some 20 to 80 thousand a second.
const maxMarkers = 10_000

// Method is how holes are made on a target.
type Method string

// Methods of making holes.
const (
	// Markers are control records that the partition's leader is asked to write (WriteTxnMarkers), all of them in one request.
	Markers Method = "write_txn_markers"
	// Transactions are empty ones, one for each offset: weaker and slower, for targets that deny ClusterAction and Alter on Cluster, or don't know
	// WriteTxnMarkers.
	Transactions Method = "transactions"
)

// Method says how holes are made. It tries, once, whether markers may be written, with one for a topic that doesn't exist: nothing comes of it.
func (c *Copier) Method(ctx context.Context) (Method, error) {
	c.mu.Lock()
	m := c.method
	c.mu.Unlock()
	if m != "" {
		return m, nil
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, marker(1<<62, 0, "kafkadr.no.such.topic", 0))
	resp, err := anyone(ctx, c, "write txn markers", req)
	switch {
	case rawkafka.Unsupported(err):
		m = Transactions
	case err != nil:
		return "", fmt.Errorf("exactcopy: write txn markers: %w", err)
	default:
		m = Markers
		for _, err := range markerErrors(resp.(*kmsg.WriteTxnMarkersResponse)) {
			if rawkafka.Denies(err) {
				m = Transactions
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.method = m
	return m, nil
}

func marker(pid int64, epoch int16, topic string, partition int32) kmsg.WriteTxnMarkersRequestMarker {
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed = pid, epoch, true
	m.Topics = append(m.Topics, t)
	return m
}

// markerErrors are the answers by place. Those of one partition and producer id run together in one, the last written: it decides nothing about
// the others.
func markerErrors(resp *kmsg.WriteTxnMarkersResponse) map[place]error {
	errs := make(map[place]error)
	for _, m := range resp.Markers {
		for _, t := range m.Topics {
			for _, a := range t.Partitions {
				if err := kerr.ErrorForCode(a.ErrorCode); err != nil || errs[place{t.Topic, a.Partition}] == nil {
					errs[place{t.Topic, a.Partition}] = err
				}
			}
		}
	}
	return errs
}

// markerLine is what waits for a broker's next WriteTxnMarkers request: one is under way at a time, and takes along all that came meanwhile.
type markerLine struct {
	mu   sync.Mutex
	jobs []*markerJob
	busy int
}

// markerWorkers is how many marker requests are under way: while one's true ends are checked, the next is written.
const markerWorkers = 2

// markerJob is n markers for one partition, of rising epochs.
type markerJob struct {
	name  rawkafka.Partition
	start int64 // the true end before
	pid   int64
	first int16
	n     int
	done  chan marked
}

// marked is what became of a markerJob. One of refused, err and request is set where something failed: request where no answer came, so that they may still
// be written.
type marked struct {
	refused      error // not sent
	err, request error
	end          int64 // the true end afterwards
	endErr       error
}

// mark writes markers and reads the true end behind them.
func (b *broker) mark(ctx context.Context, j *markerJob) (marked, error) {
	l := &b.markers
	l.mu.Lock()
	l.jobs = append(l.jobs, j)
	start := l.busy < markerWorkers
	if start {
		l.busy++
	}
	l.mu.Unlock()
	if start {
		b.c.run(b.markAll)
	}
	select {
	case m := <-j.done:
		return m, nil
	case <-ctx.Done():
		return marked{}, context.Cause(ctx)
	case <-b.c.ended:
		return marked{}, ErrClosed
	}
}

func (l *markerLine) take() []*markerJob {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, total := 0, 0
	for _, j := range l.jobs {
		if total += j.n; n > 0 && total > maxMarkers {
			break
		}
		n++
	}
	jobs := l.jobs[:n:n]
	l.jobs = slices.Clone(l.jobs[n:])
	if n == 0 {
		l.busy--
	}
	return jobs
}

// markAll writes until nobody waits.
func (b *broker) markAll(ctx context.Context) {
	for {
		jobs := b.markers.take()
		if len(jobs) == 0 {
			return
		}
		b.write(ctx, jobs)
	}
}

// write sends one request, and behind it, on the same connection, one for the true ends: a broker answers a connection's requests in turn.
func (b *broker) write(ctx context.Context, jobs []*markerJob) {
	if jobs = b.allowed(ctx, jobs); len(jobs) == 0 {
		return
	}
	req := written{kmsg.NewPtrWriteTxnMarkersRequest(), new(sync.Once), make(chan struct{})}
	for _, j := range jobs {
		for k := range j.n {
			req.Markers = append(req.Markers, marker(j.pid, j.first+int16(k), j.name.Topic, j.name.Partition))
		}
	}
	ends := make(chan map[rawkafka.Partition]rawkafka.Offset, 1)
	b.c.run(func(ctx context.Context) {
		select {
		case <-req.done:
		case <-ctx.Done():
		}
		ends <- b.ends(ctx, jobs)
	})
	var answers map[place]error
	resp, failed := b.c.cfg.Cluster.Request(ctx, b.id, req)
	if failed == nil {
		answers = markerErrors(resp.(*kmsg.WriteTxnMarkersResponse))
	}
	req.close()
	var got map[rawkafka.Partition]rawkafka.Offset
	select {
	case got = <-ends:
	case <-ctx.Done(): // nobody asks any more
	}
	b.tell(ctx, jobs, answers, failed, got)
}

// mayWait is how long a request waits for the right to a hole that had it when it lined up.
const mayWait = 500 * time.Millisecond

// allowed keeps the jobs whose holes may be made now: they may have stood in the line for a while.
func (b *broker) allowed(ctx context.Context, jobs []*markerJob) []*markerJob {
	ctx, cancel := context.WithTimeoutCause(ctx, mayWait, errMayWait)
	defer cancel()
	return slices.DeleteFunc(slices.Clone(jobs), func(j *markerJob) bool {
		err := b.c.cfg.MayHole(ctx, j.name)
		if err != nil {
			j.done <- marked{refused: err}
		}
		return err != nil
	})
}

var errMayWait = errors.New("the right to make a hole isn't confirmed")

// tell hands out what became of the jobs.
func (b *broker) tell(ctx context.Context, jobs []*markerJob, answers map[place]error, failed error, ends map[rawkafka.Partition]rawkafka.Offset) {
	var again []*markerJob
	for _, j := range jobs {
		if o := ends[j.name]; failed == nil && (o.Err != nil || o.Offset < j.start+int64(j.n)) {
			again = append(again, j) // the question may have overtaken the markers
		}
	}
	if len(again) > 0 {
		ends = maps.Clone(ends)
		if ends == nil {
			ends = make(map[rawkafka.Partition]rawkafka.Offset)
		}
		maps.Copy(ends, b.ends(ctx, again))
	}
	for _, j := range jobs {
		o, known := ends[j.name]
		if !known {
			o.Err = ErrClosed
		}
		err, ok := answers[place{j.name.Topic, j.name.Partition}]
		m := marked{err: err, request: failed, end: o.Offset, endErr: o.Err}
		if !ok && failed == nil {
			m.request = errOmitted
		}
		j.done <- m
	}
}

// ends asks for the true ends.
func (b *broker) ends(ctx context.Context, jobs []*markerJob) map[rawkafka.Partition]rawkafka.Offset {
	names := make([]rawkafka.Partition, len(jobs))
	for i, j := range jobs {
		names[i] = j.name
	}
	got, err := b.c.cfg.Cluster.ListOffsets(ctx, names, rawkafka.Latest, rawkafka.ReadUncommitted, rawkafka.Debug)
	if err != nil {
		got = make(map[rawkafka.Partition]rawkafka.Offset, len(names))
		for _, name := range names {
			got[name] = rawkafka.Offset{Err: err}
		}
	}
	return got
}

// written is a request that tells when kgo writes it: what is asked from then on goes behind it.
type written struct {
	*kmsg.WriteTxnMarkersRequest
	once *sync.Once
	done chan struct{}
}

func (w written) close() { w.once.Do(func() { close(w.done) }) }

// AppendTo implements [kmsg.Request].
func (w written) AppendTo(dst []byte) []byte {
	w.close()
	return w.WriteTxnMarkersRequest.AppendTo(dst)
}

// Hole makes n invisible offsets: a barrier, done when it returns. A marker is a control record, which no consumer sees.
func (p *Partition) Hole(ctx context.Context, n int64) error {
	if err := p.Flush(ctx, false); err != nil || n <= 0 {
		return err
	}
	position := p.Position()
	if err := p.hole(ctx, position, n); err != nil {
		if errors.Is(err, ErrShifted) { // maybe the doing of who has the right now
			err = cmpErr(p.c.cfg.MayHole(ctx, p.name), err)
		}
		err = at(p.name, position, "hole", err)
		p.fail(err)
		return err
	}
	return nil
}

// hole begins and ends with what is on all replicas: a marker, and the first data of an epoch, would be taken by a new leader that hasn't got
// what is before them.
func (p *Partition) hole(ctx context.Context, position, n int64) error {
	if err := p.awaitDurable(ctx, position); err != nil {
		return err
	}
	m, err := p.c.Method(ctx)
	if err == nil {
		err = p.c.cfg.MayHole(ctx, p.name)
	}
	if err != nil {
		return err
	}
	if m == Transactions {
		err = p.endTransactions(ctx, n)
	} else {
		err = p.markTo(ctx, position+n)
	}
	if err != nil {
		return err
	}
	return p.awaitDurable(ctx, position+n)
}

// markTo brings the true end to target. Each marker has an epoch of its own, one above the last, and the data behind them goes on in the next:
// once that has arrived, whatever is late of all this is refused.
func (p *Partition) markTo(ctx context.Context, target int64) error {
	if p.doubt {
		if err := p.quiet(ctx, p.c.cfg.Quiet/6, target); err != nil {
			return err
		}
	}
	var since time.Time
	ignored := 0 // in a row: answered with success, and nothing written
	for try := 0; p.end < target; {
		start := p.end
		why, err := p.markOnce(ctx, target)
		if err != nil {
			return err
		}
		if p.end > start {
			try = 0
			continue
		}
		if try++; try == 1 {
			since = time.Now()
			ignored = 0
		}
		if !errors.Is(why, errShort) {
			ignored = 0
		} else if ignored++; ignored == ignoredTries {
			return ErrMarkersIgnored
		}
		if time.Since(since) > p.c.cfg.RetryFor {
			return undecided(why)
		}
		p.c.cfg.OnRetry("hole", at(p.name, start, "hole", why))
		p.c.cfg.Cluster.Forget(p.name)
		if err := rawkafka.Sleep(ctx, rawkafka.Backoff(try)); err != nil {
			return err
		}
	}
	p.prod.nextEpoch()
	return nil
}

// markOnce sends one request and takes in what came of it. The error is final; why is the reason that the end is where it is.
func (p *Partition) markOnce(ctx context.Context, target int64) (why, err error) {
	broker, epoch, err := p.c.cfg.Cluster.Leader(ctx, p.name)
	if err != nil {
		return err, passing(err)
	}
	p.led(broker, epoch)
	if err := p.c.cfg.MayHole(ctx, p.name); err != nil {
		return nil, err
	}
	start := p.end
	j := &markerJob{name: p.name, start: start, done: make(chan marked, 1)}
	j.pid, j.first, j.n = p.prod.markers(min(target-start, maxMarkers))
	m, err := p.c.broker(broker).mark(ctx, j)
	switch {
	case err != nil:
		return nil, undecided(err)
	case errors.Is(m.refused, errMayWait):
		return m.refused, nil
	case m.refused != nil:
		return nil, m.refused
	case m.request != nil: // they may come late
		return m.request, p.quiet(ctx, p.c.cfg.Quiet, target)
	case m.endErr == nil && m.end == start+int64(j.n): // whatever the answer was
		return nil, p.moved(m.end, target, m.err == nil && j.n == 1) // of several, any one's answer
	case errors.Is(m.err, kerr.InvalidProducerEpoch):
		return nil, undecided(m.err)
	case rawkafka.Denies(m.err), m.err != nil && !rawkafka.Retriable(m.err) && !rawkafka.Unknown(m.err):
		return nil, m.err
	}
	why = cmpErr(m.err, m.endErr, errShort)
	return why, p.quiet(ctx, 0, target)
}

// ignoredTries is how often, in some 7 s, markers may be answered with success while the log's end stays.
const ignoredTries = 8

var errShort = errors.New("fewer markers than were asked for")

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// passing keeps an error only where it won't pass.
func passing(err error) error {
	if rawkafka.Retriable(err) || rawkafka.Unknown(err) {
		return nil
	}
	return err
}

// moved takes in a new true end, that may not be beyond target.
func (p *Partition) moved(end, target int64, durable bool) error {
	if end > target {
		return shifted(p.name, target, end)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if end < p.end {
		return undecided(fmt.Errorf("the log went back from %d to %d", p.end, end))
	}
	p.end, p.position = end, end
	if durable {
		p.durable = end
	}
	return nil
}

// endUpTo is the true end. One beyond target counts once it is on all replicas: a leader that is about to be replaced may show what will be cut away.
func (p *Partition) endUpTo(ctx context.Context, target int64) (int64, error) {
	end, watermark, err := p.ends(ctx)
	if err == nil && end > target && watermark < end {
		return 0, errNotReplicated
	}
	return end, err
}

// quiet waits until the true end has stood still for d, and takes it in.
func (p *Partition) quiet(ctx context.Context, d time.Duration, target int64) error {
	var end int64
	var since time.Time
	for {
		asked := time.Now()
		var now int64
		err := p.retry(ctx, "hole", func() (err error) {
			now, err = p.list(ctx, rawkafka.Debug)
			return err
		})
		if err != nil {
			return undecided(err)
		}
		// An answer that was long in coming is one of a broker that stood still itself: it proves nothing.
		if since.IsZero() || now != end || time.Since(asked) > max(d/4, time.Second) {
			end, since = now, time.Now()
		}
		if left := d - time.Since(since); left <= 0 {
			break
		} else if err := rawkafka.Sleep(ctx, min(left, max(d/10, 10*time.Millisecond))); err != nil {
			return err
		}
	}
	p.doubt = false
	if start := p.end; d > 0 && end != start {
		return p.catchUp(ctx, target)
	}
	if end > target {
		err := p.retry(ctx, "hole", func() (err error) {
			end, err = p.endUpTo(ctx, target)
			return err
		})
		if err != nil {
			return undecided(err)
		}
	}
	return p.moved(end, target, false)
}

// catchUp takes in the end, and the producer of the markers that came in late: those of a process that died may be of a later epoch or generation, in which
// this one's markers and data would be refused, and behind which they must not go on in an earlier one.
func (p *Partition) catchUp(ctx context.Context, target int64) error {
	var f facts
	var now known
	err := p.retry(ctx, "hole", func() (err error) {
		if f, err = p.facts(ctx); err == nil {
			now, err = f.standing()
		}
		return err
	})
	if err != nil {
		return undecided(err)
	}
	if now.found && (later(now.gen, p.prod.gen) || now.gen == p.prod.gen && now.epoch > p.prod.epoch) {
		p.prod.gen, p.prod.epoch, p.prod.sequence = now.gen, now.epoch, 0
	}
	return p.moved(f.end, target, false)
}
