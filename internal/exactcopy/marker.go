package exactcopy

import (
	"context"
	"errors"
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

func marker(pid int64, epoch int16, topic string, partition int32) kmsg.WriteTxnMarkersRequestMarker {
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = topic, []int32{partition}
	m := kmsg.NewWriteTxnMarkersRequestMarker()
	m.ProducerID, m.ProducerEpoch, m.Committed = pid, epoch, true
	m.Topics = append(m.Topics, t)
	return m
}

// markerErrors are the answers by place. Those of one partition and producer id run together in
// one, the last written: it decides nothing about the others.
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

// markerLine is what waits for a broker's next WriteTxnMarkers request: one is under way at a time,
// and takes along all that came meanwhile.
type markerLine struct {
	mu   sync.Mutex
	jobs []*markerJob
	busy int
}

// markerWorkers is how many marker requests are under way: while one's true ends are checked, the
// next is written.
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

// marked is what became of a markerJob. One of refused, err and request is set where something
// failed: request where no answer came, so that they may still be written.
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

// write sends one request, and behind it, on the same connection, one for the true ends: a broker
// answers a connection's requests in turn.
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
