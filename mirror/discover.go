package mirror

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// discover looks for topics and partitions that are new, grown, re-created or gone, on both sides.
// What can't be seen now is seen the next time.
func (e *engine) discover(ctx context.Context) error {
	seen := e.planned
	e.planned = nil
	if seen == nil {
		var err error
		if seen, err = e.lookAtSource(ctx); err != nil {
			return err
		}
	}
	all := seen.all
	selected := e.sel.of(all)
	copies, origins := copiesOf(e.back, e.target.ID(), all)
	out := e.leaveOut(selected, copies)
	e.mu.Lock()
	e.leftOut, e.origins = out, origins
	e.mu.Unlock()
	e.vanished(ctx, seen.became)
	if err := e.deletedMeanwhile(ctx, all); err != nil {
		return err
	}
	e.begun(selected)
	if len(selected) == 0 {
		e.pending = 0
		return nil
	}
	if seen.there == nil {
		there, err := e.lookAtCopies(ctx, source.Query{Cluster: e.far, Known: e.copiesAmong(selected)}, selected)
		if err != nil {
			return err
		}
		return e.settleTopics(ctx, selected, there)
	}
	return e.settleTopics(ctx, selected, source.Look{Topics: seen.there})
}

// lookAtSource lists the source's topics, and then reads what it says of its own copies.
func (e *engine) lookAtSource(ctx context.Context) (*looks, error) {
	q := source.Query{Cluster: e.near, Named: e.sel.Names()}
	e.mu.Lock()
	for _, t := range e.topics {
		q.Known = append(q.Known, t.atSource())
	}
	leftOut := e.leftOut
	e.mu.Unlock()
	q.Takes = func(t rawkafka.Topic) bool { return leftOut[t.Name] == "" && e.sel.takes(t) }
	l, err := e.sources.Look(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("source: topics: %w", err)
	}
	return &looks{all: l.Topics, became: l.Verdicts}, e.refreshBack(ctx)
}

// copiesAmong are the copies of topics that are taken in.
func (e *engine) copiesAmong(selected map[string]rawkafka.Topic) (known []source.Known) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for name := range selected {
		if t := e.topics[name]; t != nil && t.parts != nil {
			known = append(known, t.onStandby())
		}
	}
	return known
}

// lookAtCopies looks for the copies of topics on the standby.
func (fl *flow) lookAtCopies(ctx context.Context, q source.Query, selected map[string]rawkafka.Topic) (source.Look, error) {
	for name := range selected {
		q.Only = append(q.Only, fl.cfg.Prefix+name)
	}
	if len(q.Only) == 0 {
		return source.Look{}, nil
	}
	l, err := fl.copies.Look(ctx, q)
	if err != nil {
		return l, fmt.Errorf("target: topics: %w", err)
	}
	return l, nil
}

// begun leaves only the topics that a Once has begun with, once it has them all: they may be
// deleted, or grow, meanwhile.
func (e *engine) begun(selected map[string]rawkafka.Topic) {
	if !e.cfg.Once || !e.agenda.isWhole() {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(selected, func(name string, _ rawkafka.Topic) bool { return e.topics[name] == nil })
}

// refreshBack reads the source's own ledger on: what it says of copies that came from the target
// must not go back.
func (fl *flow) refreshBack(ctx context.Context) error {
	if fl.back == nil {
		return nil
	}
	if err := fl.back.Refresh(ctx); err != nil {
		return fmt.Errorf("source: ledger: %w", err)
	}
	return nil
}

// vanished settles topics that the source has no more, or has again under another ID.
func (e *engine) vanished(ctx context.Context, became map[source.Known]source.Verdict) {
	e.mu.Lock()
	topics := slices.Collect(maps.Values(e.topics))
	e.mu.Unlock()
	for _, t := range topics {
		switch v := became[t.atSource()]; v.State {
		case source.Present, source.Doubted:
		case source.Gone:
			e.deleted(ctx, t)
		case source.Replaced:
			e.recreated(ctx, t, Event{
				Kind: TopicRecreated, Offset: -1, Other: -1,
				Detail: fmt.Sprintf("the copy is of topic ID %s, the source's is %s now", t.sourceID, v.Now.ID),
			})
		}
	}
}

// settleTopics creates and grows copies, and takes in those that are there.
func (e *engine) settleTopics(ctx context.Context, selected map[string]rawkafka.Topic, standby source.Look) error {
	there := standby.Topics
	var create []*topic
	var ready []*topic
	metas := make(map[*topic]rawkafka.Topic)
	pending := 0
	for _, name := range slices.Sorted(maps.Keys(selected)) {
		from := selected[name]
		if from.Err != nil || len(from.Partitions) == 0 {
			pending++
			continue
		}
		t := e.topicOf(from)
		to := there[t.target]
		switch {
		case t.sourceID != from.ID: // stopped: it was re-created
			continue
		case rawkafka.Unknown(to.Err):
			if t.parts != nil {
				if standby.Verdicts[t.onStandby()].State == source.Gone && e.standbyGone(t, "it was deleted") {
					pending++
				}
				continue
			}
			if e.refusals.final(t.source) {
				continue
			}
			create = append(create, t)
		case to.Err != nil || len(to.Partitions) == 0:
			pending++
		case t.parts != nil && to.ID != t.targetID:
			if standby.Verdicts[t.onStandby()].State == source.Replaced && e.standbyGone(t, fmt.Sprintf("topic ID %s was re-created as %s", t.targetID, to.ID)) {
				pending++
			}
			continue
		default:
			e.backAgain(t)
			ready = append(ready, t)
		}
		metas[t] = from
	}
	if err := e.describe(ctx, ready, nil); err != nil {
		return err
	}
	ready, err := e.fit(ctx, ready, there)
	if err != nil {
		return err
	}
	for _, t := range ready {
		if !e.grow(ctx, t, metas[t], there[t.target]) {
			pending++
		}
	}
	e.pending = pending + len(create)
	if err := e.create(ctx, create, metas); err != nil {
		return err
	}
	left := 0
	for _, t := range create {
		if t.parts == nil && !e.refusals.has(t.source) {
			left++
		}
	}
	e.pending = pending + left
	if left > 0 {
		e.agenda.again()
	}
	return nil
}

// topicOf is the mirror of a source's topic, made where there is none.
func (e *engine) topicOf(from rawkafka.Topic) *topic {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.topics[from.Name]
	if t == nil {
		t = &topic{pair: pair{source: from.Name, target: e.cfg.Prefix + from.Name, sourceID: from.ID}}
		e.topics[from.Name] = t
	}
	return t
}

func replication(t rawkafka.Topic) int16 {
	if len(t.Partitions) == 0 {
		return 1
	}
	return int16(len(t.Partitions[0].Replicas))
}

// grow gives the copy as many partitions as the source has, and takes in those that both have. It
// says whether that is all there is to do.
func (e *engine) grow(ctx context.Context, t *topic, from, to rawkafka.Topic) (whole bool) {
	n, have := len(from.Partitions), len(to.Partitions)
	switch {
	case have < n && e.refusals.final(t.source):
		whole = true
	case have < n:
		if err := e.createPartitions(ctx, t.target, n); err != nil {
			e.refusedTopic(t, fmt.Errorf("create partitions: %w", err))
			whole = true // for now
		} else {
			e.refusals.forget(t.source)
			e.agenda.again()
		}
	case have > n:
		ev := Event{Kind: PartitionsAhead, Offset: -1, Other: -1, Detail: fmt.Sprintf("the copy has %d partitions, the source's topic %d", have, n)}
		e.say(t, ev)
		if e.cfg.Policies.of(PartitionsAhead) == Stop {
			e.stopAhead(t, ev)
			return true
		}
		fallthrough
	default:
		e.refusals.forget(t.source)
		whole = true
	}
	e.adopt(t, to, min(n, have))
	return whole
}

// stopAhead stops a topic whose copy has more partitions: those that were taken in, or all of it.
func (e *engine) stopAhead(t *topic, ev Event) {
	if t.parts == nil {
		ev.Topic, ev.Target, ev.Partition, ev.Policy = t.source, t.target, -1, Stop
		e.refusals.add(t.source, &EventError{Event: ev})
		return
	}
	if !e.stoppedAll(t) {
		e.stopTopic(t, ev, Stop)
	}
}

// adopt takes partitions in.
func (e *engine) adopt(t *topic, to rawkafka.Topic, n int) {
	e.mu.Lock()
	begun := t.parts == nil
	if begun || t.targetID != to.ID { // those at work read it
		t.targetID = to.ID
		t.claim = standby.NewClaim(e.locks, to.ID, func(err error) { e.say(t, Event{Kind: HolesUnguarded, Detail: err.Error()}) })
	}
	t.rf = replication(to)
	for i := len(t.parts); i < n; i++ {
		p := newPart(t, int32(i), e.side)
		t.parts = append(t.parts, p)
		e.parts[p.src] = p
		e.lookAt(p, 0)
	}
	e.mu.Unlock()
	if begun {
		e.hooks.topic(t)
	}
}

// deleted settles a topic that the source has no more.
func (e *engine) deleted(ctx context.Context, t *topic) {
	e.say(t, Event{Kind: TopicDeleted, Detail: topicGone})
	e.lost[t.source] = t
	e.drop(t)
	if e.cfg.Policies.of(TopicDeleted) == Delete {
		e.deleteCopy(ctx, t)
	}
}

// recreated settles a topic that is another one at the source now.
func (e *engine) recreated(ctx context.Context, t *topic, ev Event) {
	policy := e.cfg.Policies.of(TopicRecreated)
	if policy != Recreate && e.stoppedAll(t) {
		return
	}
	e.say(t, ev)
	if policy == Recreate {
		e.dropForNow(t)
		e.deleteCopy(ctx, t)
		return
	}
	e.stopTopic(t, ev, policy)
}

// stoppedAll says that all of a topic's partitions have stopped.
func (e *engine) stoppedAll(t *topic) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(t.parts) > 0 && !slices.ContainsFunc(t.parts, func(p *part) bool { return p.state() != Stopped })
}

// stopTopic stops all partitions of a topic.
func (e *engine) stopTopic(t *topic, ev Event, policy Policy) {
	e.mu.Lock()
	for _, p := range t.parts {
		own := ev
		own.Time, own.Topic, own.Target, own.Partition, own.Policy, own.Offset = time.Now(), t.source, t.target, p.src.Partition, policy, p.copy.Position()
		p.why, p.last = &EventError{Event: own}, &own
		e.stop(p, policy)
		p.abandon()
	}
	parts := slices.Clone(t.parts)
	e.mu.Unlock()
	e.steer(parts...)
	e.poke()
}

// standbyGone settles a copy that is gone, or another, on the standby. It says whether the topic is
// to be taken in anew.
func (e *engine) standbyGone(t *topic, how string) (anew bool) {
	ev := Event{Kind: StandbyDeleted, Offset: -1, Other: -1, Detail: how}
	policy := e.cfg.Policies.of(StandbyDeleted)
	e.say(t, ev)
	if policy == GoOn {
		e.dropForNow(t)
		return true
	}
	if !e.stoppedAll(t) {
		e.stopTopic(t, ev, policy)
	}
	return false
}

// dropForNow forgets a topic that discovery takes in anew: a Once waits for it.
func (e *engine) dropForNow(t *topic) {
	e.drop(t)
	e.agenda.setWhole(false)
	e.agenda.again()
}

// backAgain looks again at a copy that was taken for deleted: it is there, under the ID that it
// had.
func (e *engine) backAgain(t *topic) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range t.parts {
		if p.state() == Stopped && p.why != nil && p.why.Event.Kind == StandbyDeleted {
			delete(t.said, StandbyDeleted)
			e.lookAt(p, 0)
		}
	}
}

// drop forgets a topic.
func (e *engine) drop(t *topic) {
	e.mu.Lock()
	delete(e.topics, t.source)
	for _, p := range t.parts {
		delete(e.parts, p.src)
		e.void(p, source.Drop)
		p.abandon()
	}
	parts := t.parts
	e.mu.Unlock()
	e.steer(parts...)
	for _, p := range parts {
		e.closeIdle(p)
	}
	e.poke()
}

// closeIdle closes the copier's partition, unless a worker has it: Close waits for nothing then but
// the copier's own end.
func (e *engine) closeIdle(p *part) {
	e.mu.Lock()
	working := p.working
	e.mu.Unlock()
	if !working {
		p.copy.Close()
	}
}
