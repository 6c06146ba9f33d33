package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

// absent are topics that this flow has copied, by its notes, that the source doesn't list any more
// although the copies are there: they may have been deleted while no mirror ran.
func (fl *flow) absent(ctx context.Context, all map[string]rawkafka.Topic, target source.Cluster) ([]pair, error) {
	noted := fl.notedTopics()
	var targets []string
	for name, id := range noted {
		if _, ok := all[name]; ok || !fl.sel.takes(rawkafka.Topic{Name: name}) {
			delete(noted, name)
			continue
		}
		targets = append(targets, fl.cfg.Prefix+id.Topic)
	}
	if len(targets) == 0 {
		return nil, nil
	}
	views, err := target.Everywhere(ctx, targets...)
	if err != nil {
		return nil, fmt.Errorf("target: topics: %w", err)
	}
	there := source.Union(views, nil)
	var missing []pair
	for name, id := range noted {
		if copied, ok := there[fl.cfg.Prefix+name]; ok && copied.Err == nil && copied.ID.String() == id.TargetID {
			missing = append(missing, pair{source: name, target: copied.Name, targetID: copied.ID})
		}
	}
	slices.SortFunc(missing, func(a, b pair) int { return strings.Compare(a.source, b.source) })
	return missing, nil
}

// absentNow are those of which no broker of the source knows anything now, which a plan says, and
// nothing is done for.
func (fl *flow) absentNow(ctx context.Context, all map[string]rawkafka.Topic) ([]pair, error) {
	missing, err := fl.absent(ctx, all, fl.target)
	if err != nil || len(missing) == 0 {
		return nil, err
	}
	became, err := fl.becameOf(ctx, missing, fl.source)
	return slices.DeleteFunc(missing, func(t pair) bool { return became[t.atSource()].State == source.Present }), err
}

// becameOf is what has become of topics at the source, whatever ID they had.
func (fl *flow) becameOf(ctx context.Context, topics []pair, from source.Cluster) (map[source.Known]source.Verdict, error) {
	q := source.Query{Cluster: from}
	for _, t := range topics {
		q.Known, q.Only = append(q.Known, t.atSource()), append(q.Only, t.source)
	}
	if len(q.Only) == 0 {
		return nil, nil
	}
	l, err := fl.meanwhile.Look(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("source: topics: %w", err)
	}
	return l.Verdicts, nil
}

// notedTopics are the copies of this flow that the ledger knows, by their source's name.
func (fl *flow) notedTopics() map[string]identity {
	noted := make(map[string]identity)
	prefix := identityPrefix + fl.source.ID() + "/"
	for key, value := range fl.ledger.Each(prefix) {
		target, _, _ := strings.Cut(strings.TrimPrefix(key, prefix), "/")
		var id identity
		if err := ledger.Decode(key, value, &id); err == nil && id.Flow == fl.cfg.Name && id.TargetID != "" && target == fl.cfg.Prefix+id.Topic {
			if old, ok := noted[id.Topic]; !ok || old.At.Before(id.At) {
				noted[id.Topic] = id
			}
		}
	}
	return noted
}

// deletedMeanwhile settles topics that were deleted at the source while no mirror ran. It is over
// when one look has found nothing to be settled: from then on the mirror sees for itself what goes.
func (e *engine) deletedMeanwhile(ctx context.Context, all map[string]rawkafka.Topic) error {
	if e.absentDone {
		return nil
	}
	missing, err := e.absent(ctx, all, e.far)
	if err != nil {
		return err
	}
	e.mu.Lock()
	missing = slices.DeleteFunc(missing, func(t pair) bool { return e.topics[t.source] != nil }) // vanished sees to them
	e.mu.Unlock()
	became, err := e.becameOf(ctx, missing, e.near)
	if err != nil {
		return err
	}
	unsure := 0
	for _, m := range missing {
		t := e.lost[m.source]
		if t == nil || t.targetID != m.targetID {
			t = &topic{pair: m}
		}
		e.lost[t.source] = t
		switch {
		case t.said[TopicDeleted] != "":
		case became[t.atSource()].State == source.Present:
			delete(e.lost, t.source)
		case became[t.atSource()].State == source.Gone:
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
	e.unsure = unsure
	if unsure > 0 {
		e.agenda.again()
	}
	return nil
}

const topicGone = "the source's topic is gone"
