package rawkafka

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// small is the size of a response below which the next is asked for after a
// pause.
const small = 64 << 10

// asked is a partition in a request, with the answer once there is one.
type asked struct {
	*reading
	offset int64
	damage int // what had been found by then
	answer *kmsg.FetchResponseTopicPartition
	of     *Response
	data   bool // it has some
	voidTo int64
}

// serve reads from one broker until none of its partitions is left. While one
// response is handled the next is under way, and no more.
func (f *Fetcher) serve(ctx context.Context, s *server) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	answers := make(chan []asked)
	handled := make(chan error, 1)
	go func() {
		handled <- f.handle(ctx, s, answers)
		cancel(errHandler)
	}()
	err := f.ask(ctx, s, answers)
	close(answers)
	if herr := <-handled; herr != nil {
		return herr
	}
	return err
}

func (f *Fetcher) ask(ctx context.Context, s *server, answers chan<- []asked) error {
	for {
		req, asks, left := f.compose(s)
		if !left {
			return nil
		}
		if req == nil {
			select {
			case <-s.wake:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
		resp, err := f.request(ctx, s, req)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		fr, _ := resp.(*kmsg.FetchResponse)
		if err == nil {
			err = kerr.ErrorForCode(fr.ErrorCode)
		}
		if err != nil {
			for _, a := range asks {
				f.failed(a.reading, err)
			}
			continue
		}
		n := f.take(s, asks, fr)
		select {
		case answers <- asks:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := f.pause(ctx, n, time.Duration(fr.ThrottleMillis)*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause keeps the rate, the broker's throttling and the linger.
func (f *Fetcher) pause(ctx context.Context, n int, throttle time.Duration) error {
	for left := n; left > 0 && f.cfg.Limiter != nil; {
		part := min(left, max(f.cfg.Limiter.Burst(), 1))
		if err := f.cfg.Limiter.WaitN(ctx, part); err != nil {
			return err
		}
		left -= part
	}
	if n < small {
		throttle = max(throttle, f.cfg.Linger)
	}
	if throttle > 0 {
		return Sleep(ctx, throttle)
	}
	return ctx.Err()
}

// compose asks for all partitions of the loop, in order, or for the first
// alone, or for none while the handler has them all; the loop ends where none is
// left.
func (f *Fetcher) compose(s *server) (req *kmsg.FetchRequest, asks []asked, left bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(s.order) == 0 {
		if f.serving[s.lane] == s {
			delete(f.serving, s.lane)
		}
		return nil, nil, false
	}
	order := s.order
	if f.cfg.InTurn {
		order = slices.DeleteFunc(slices.Clone(order), func(r *reading) bool { return !r.handled })
	}
	if len(order) == 0 {
		return nil, nil, true
	}
	req = kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis = int32(f.cfg.MaxWait.Milliseconds())
	req.MinBytes, req.MaxBytes = 1, f.cfg.MaxBytes
	req.IsolationLevel = ReadCommitted
	req.SessionEpoch = -1
	req.Rack = f.cfg.Rack
	if s.alone { // what comes isn't waited for by those in line
		order, req.MaxWaitMillis = order[:1], 0
	}
	asks = make([]asked, 0, len(order))
	for _, r := range order {
		asks = append(asks, asked{reading: r, offset: r.offset, damage: r.corrupt})
		f.add(req, r, len(order))
	}
	return req, asks, true
}

func (f *Fetcher) add(req *kmsg.FetchRequest, r *reading, n int) {
	if last := len(req.Topics) - 1; last < 0 || req.Topics[last].TopicID != r.TopicID || req.Topics[last].Topic != r.Topic {
		t := kmsg.NewFetchRequestTopic()
		t.Topic, t.TopicID = r.Topic, r.TopicID
		req.Topics = append(req.Topics, t)
	}
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition = r.Partition.Partition
	p.CurrentLeaderEpoch, p.LastFetchedEpoch = r.epoch, r.lastEpoch
	p.FetchOffset = r.offset
	p.PartitionMaxBytes = max(f.cfg.MaxBytes/4*3, 1) // kfake leaves the aborted list out where MaxBytes is what ends a partition
	if n > 1 {
		p.PartitionMaxBytes = max(f.cfg.MaxBytes/2, 1)
	}
	t := &req.Topics[len(req.Topics)-1]
	t.Partitions = append(t.Partitions, p)
}

// take moves the positions behind what came, so that the next request can go
// out, and whoever got data to the end of the order.
func (f *Fetcher) take(s *server, asks []asked, resp *kmsg.FetchResponse) int {
	find := index(resp)
	f.mu.Lock()
	defer f.mu.Unlock()
	total, got := 0, make(map[*reading]bool)
	of := &Response{Bytes: size(resp)}
	for i := range asks {
		a := &asks[i]
		a.of = of
		a.answer = find(a.Partition)
		if a.answer == nil || !a.wanted() {
			continue // a full response may leave partitions out
		}
		first := total == 0
		total += len(a.answer.RecordBatches)
		switch {
		case f.advance(a):
			got[a.reading] = true
			a.data, a.handled = true, false
			a.empty = Empties{}
			f.together(a)
		case a.answer == nil: // it has failed
		case !a.nothing():
			a.empty = Empties{}
			f.together(a)
		case first:
			f.nothing(a, s)
		}
	}
	slices.SortStableFunc(s.order, func(a, b *reading) int {
		switch {
		case got[a] == got[b]:
			return 0
		case got[a]:
			return 1
		}
		return -1
	})
	return total
}

// nothing takes in that a broker had no data for a partition below the last
// stable offset: it is asked for alone from now on, after a pause where it was
// already, until that proves something or has lasted too long; f.mu is held.
func (f *Fetcher) nothing(a *asked, s *server) {
	r, now := a.reading, time.Now()
	switch {
	case r.replica >= 0: // the leader decides
		r.replica, r.replicaEnds = -1, now.Add(replicaPause)
	case s.alone:
		r.empty.Add(min(a.answer.LastStableOffset, r.until), now)
		r.due = now.Add(VoidPause)
	}
	if r.empty.Proves(r.log, now) { // it stays in this loop, so that its data comes behind
		a.voidTo = r.empty.To
		r.offset, r.lastEpoch, r.empty, r.due = a.voidTo, -1, Empties{}, time.Time{}
		if r.offset >= r.until {
			f.unassign(r)
			r.finished = true
		}
		return
	}
	f.unassign(r)
	f.poke()
	r.alone = true
	if r.empty.For(now) > f.c.cfg.RetryFor {
		a.answer, r.removed = nil, true
		delete(f.parts, r.Partition)
		f.h.Failed(r.Partition, r.empty.Error(r.Partition, r.offset, r.log, now))
	}
}

// together has a partition asked for with the others again, unless it is
// behind in tiered storage; f.mu is held.
func (f *Fetcher) together(a *asked) {
	r := a.reading
	if !r.alone || r.log.Remote && r.offset < a.answer.LastStableOffset {
		return
	}
	r.alone = false
	if !r.finished {
		f.unassign(r)
		f.poke()
	}
}

// size is about how long a response is.
func size(resp *kmsg.FetchResponse) (n int) {
	const fixed, aborted = 64, 17
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			p := &resp.Topics[i].Partitions[j]
			n += fixed + aborted*len(p.AbortedTransactions) + len(p.RecordBatches)
		}
	}
	return n
}

// nothing says that the broker found no batch below the last stable offset. One that fails, or
// sends elsewhere, hasn't looked.
func (a *asked) nothing() bool {
	r := a.answer
	return r.ErrorCode == 0 && r.PreferredReadReplica < 0 && r.DivergingEpoch.EndOffset < 0 && len(r.RecordBatches) == 0 && r.LastStableOffset > a.offset
}

func index(resp *kmsg.FetchResponse) func(Partition) *kmsg.FetchResponseTopicPartition {
	answers := make(map[Partition]*kmsg.FetchResponseTopicPartition)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			p := Partition{Partition: t.Partitions[j].Partition}
			if resp.Version >= 13 {
				p.TopicID = t.TopicID
			} else {
				p.Topic = t.Topic
			}
			answers[p] = &t.Partitions[j]
		}
	}
	return func(p Partition) *kmsg.FetchResponseTopicPartition {
		if resp.Version >= 13 {
			p.Topic = ""
		} else {
			p = Partition{Topic: p.Topic, Partition: p.Partition}
		}
		return answers[p]
	}
}

// advance says whether the answer has data; f.mu is held.
func (f *Fetcher) advance(a *asked) bool {
	r := a.reading
	err := kerr.ErrorForCode(a.answer.ErrorCode)
	switch {
	case err == nil && a.answer.DivergingEpoch.EndOffset >= 0:
		err = ErrDiverged
		r.replica = -1
	case err == nil && a.answer.PreferredReadReplica >= 0 && a.answer.PreferredReadReplica != r.broker && time.Now().After(r.replicaEnds):
		f.prefer(r, a.answer.PreferredReadReplica)
	}
	if err != nil {
		a.answer = nil
		f.failedLocked(r, err)
		return false
	}
	r.tries = 0
	if r.replica >= 0 && time.Now().After(r.replicaEnds) { // ask the leader again who is preferred
		f.unassign(r)
		r.replica, r.replicaEnds = -1, time.Time{}
		f.poke()
	}
	end, epoch := walk(a.answer.RecordBatches, r.offset)
	if end == r.offset {
		return false
	}
	r.offset = end
	if epoch >= 0 {
		r.lastEpoch = epoch
	}
	if r.offset >= r.until {
		f.unassign(r)
		r.finished = true
	}
	return true
}

// prefer reads from another replica than the leader for a while.
func (f *Fetcher) prefer(r *reading, replica int32) {
	f.unassign(r)
	r.replica, r.replicaEnds = replica, time.Now().Add(replicaPause)
	f.poke()
}

// handle hands answers on, in order.
func (f *Fetcher) handle(ctx context.Context, s *server, answers <-chan []asked) error {
	for asks := range answers {
		for i := range asks {
			a := &asks[i]
			if a.answer == nil || !f.live(a) {
				continue
			}
			if err := f.deliver(ctx, a); err != nil {
				return err
			}
			a.answer = nil
		}
		f.taken(s, asks)
	}
	return nil
}

// taken notes that the handler has a response. Another loop may have a partition by now.
func (f *Fetcher) taken(s *server, asks []asked) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range asks {
		if !a.data {
			continue
		}
		a.handled = true
		if now := f.serving[a.lane()]; now != nil {
			now.poke()
		}
	}
	s.poke()
}

func (f *Fetcher) live(a *asked) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return a.wanted()
}

// wanted says that the partition is read still, and not from damage again that lies before what was
// asked for; f.mu is held.
func (a *asked) wanted() bool { return !a.removed && a.damage == a.corrupt }

func (f *Fetcher) deliver(ctx context.Context, a *asked) error {
	raw, err := whole(a.answer.RecordBatches)
	if err != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		a.corrupt++
		a.reading.offset, a.finished = a.offset, false
		f.failedLocked(a.reading, err)
		return nil
	}
	fetched := Fetched{
		Partition: a.Partition, Position: a.offset, Tag: a.tag, Batches: raw, Response: a.of, VoidTo: a.voidTo,
		HighWatermark: a.answer.HighWatermark, LastStable: a.answer.LastStableOffset, LogStart: a.answer.LogStartOffset,
	}
	for _, t := range a.answer.AbortedTransactions {
		fetched.Aborted = append(fetched.Aborted, batch.AbortedTxn{ProducerID: t.ProducerID, FirstOffset: t.FirstOffset})
	}
	return f.h.Fetched(ctx, fetched)
}
