package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// absent are topics that this flow has copied, by its notes, that the source doesn't have any more although the copies are there: they were deleted while no mirror
// ran. A topic is asked for by name once more before it counts.
func (e *engine) absent(ctx context.Context, all map[string]rawkafka.Topic, source, target *rawkafka.Cluster) ([]*topic, error) {
	noted := e.notedTopics()
	var sources, targets []string
	for name, id := range noted {
		if _, ok := all[name]; ok || !e.sel.takes(rawkafka.Topic{Name: name}) {
			delete(noted, name)
			continue
		}
		sources, targets = append(sources, name), append(targets, e.cfg.Prefix+id.Topic)
	}
	if len(sources) == 0 {
		return nil, nil
	}
	now, err := source.Topics(ctx, sources...)
	if err != nil {
		return nil, fmt.Errorf("source: topics: %w", err)
	}
	there, err := target.Topics(ctx, targets...)
	if err != nil {
		return nil, fmt.Errorf("target: topics: %w", err)
	}
	var gone []*topic
	for name, id := range noted {
		copied, ok := there[e.cfg.Prefix+name]
		if ok && copied.Err == nil && copied.ID.String() == id.TargetID && rawkafka.Unknown(now[name].Err) {
			gone = append(gone, &topic{source: name, target: copied.Name, targetID: copied.ID})
		}
	}
	slices.SortFunc(gone, func(a, b *topic) int { return strings.Compare(a.source, b.source) })
	return gone, nil
}

// notedTopics are the copies of this flow that the ledger knows, by their source's name.
func (e *engine) notedTopics() map[string]identity {
	noted := make(map[string]identity)
	prefix := identityPrefix + e.source.ID() + "/"
	for key, value := range e.ledger.Each(prefix) {
		target, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		var id identity
		if err := ledger.Decode(key, value, &id); err == nil && id.Flow == e.cfg.Name && id.TargetID != "" && target == e.cfg.Prefix+id.Topic {
			if old, ok := noted[id.Topic]; !ok || old.At.Before(id.At) {
				noted[id.Topic] = id
			}
		}
	}
	return noted
}

// deletedMeanwhile settles topics that were deleted at the source while no mirror ran. It is over when one look has found nothing to be settled: from then on
// the mirror sees for itself what goes.
func (e *engine) deletedMeanwhile(ctx context.Context, all map[string]rawkafka.Topic) error {
	if e.absentDone {
		return nil
	}
	gone, err := e.absent(ctx, all, e.near, e.far)
	if err != nil {
		return err
	}
	e.mu.Lock()
	gone = slices.DeleteFunc(gone, func(t *topic) bool { return e.topics[t.source] != nil }) // vanished sees to them
	e.mu.Unlock()
	unsure := 0
	for _, t := range gone {
		if was := e.lost[t.source]; was != nil && was.targetID == t.targetID {
			t = was
		}
		e.lost[t.source] = t
		switch {
		case t.said[TopicDeleted] != "":
		case e.gone(ctx, &t.missing, e.near, t.source, t.sourceID):
			e.deleted(ctx, t)
		default:
			unsure++
		}
	}
	for name := range e.lost { // somebody is there again
		if _, ok := all[name]; ok {
			delete(e.lost, name)
		}
	}
	e.absentDone = unsure == 0
	e.mu.Lock()
	e.unsure = unsure
	e.mu.Unlock()
	if unsure > 0 {
		e.again()
	}
	return nil
}

const topicGone = "the source's topic is gone"
