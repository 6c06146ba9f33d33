package mm2

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// targetLog is how a partition of the target is.
type targetLog struct {
	found              bool
	start, end, stable int64
	unfit              string
}

// logs looks at all partitions of topics; what the target doesn't have isn't in the result.
func (t *target) logs(ctx context.Context, topics []string) (map[place]targetLog, error) {
	found := map[place]targetLog{}
	list := func(ask func(context.Context, ...string) (kadm.ListedOffsets, error), set func(*targetLog, int64)) error {
		listed, err := retried(ctx, t, "list offsets", func() (kadm.ListedOffsets, error) { return ask(ctx, topics...) })
		if err != nil {
			return &TopicError{Topic: topics[0], Err: err}
		}
		for topic, ps := range listed {
			for part, o := range ps {
				switch {
				case errors.Is(o.Err, kerr.UnknownTopicOrPartition), part < 0:
					continue
				case o.Err != nil:
					return &TopicError{Topic: topic, Partition: part, Err: o.Err}
				}
				l := found[place{topic, part}]
				l.found = true
				set(&l, o.Offset)
				found[place{topic, part}] = l
			}
		}
		return nil
	}
	err := cmpErr(
		list(t.adm.ListStartOffsets, func(l *targetLog, o int64) { l.start = o }),
		list(t.adm.ListCommittedOffsets, func(l *targetLog, o int64) { l.stable = o }),
		list(t.adm.ListEndOffsets, func(l *targetLog, o int64) { l.end = o }))
	if err != nil {
		return nil, err
	}
	unfit, err := t.unfit(ctx, topics)
	for at, l := range found {
		l.unfit = unfit[at.topic]
		found[at] = l
	}
	return found, err
}

// unfit says why the records of a topic prove nothing: where the cleaner takes some, here or at the
// source, whose setting MirrorMaker keeps in step, counts say nothing, and what was copied twice
// may be there once.
func (t *target) unfit(ctx context.Context, topics []string) (map[string]string, error) {
	configs, err := retried(ctx, t, "describe configs", func() (kadm.ResourceConfigs, error) { return t.adm.DescribeTopicConfigs(ctx, topics...) })
	unfit := map[string]string{}
	for _, topic := range topics {
		unfit[topic] = "cleanup.policy isn't known"
	}
	if denied := (*kadm.AuthError)(nil); errors.As(err, &denied) {
		return unfit, nil
	}
	if err != nil {
		return nil, &TopicError{Topic: topics[0], Err: err}
	}
	for _, c := range configs {
		for _, kv := range c.Configs {
			if c.Err == nil && kv.Key == "cleanup.policy" && kv.Value != nil {
				unfit[c.Name] = ""
				if *kv.Value != "delete" {
					unfit[c.Name] = fmt.Sprintf("cleanup.policy is %s", *kv.Value)
				}
			}
		}
	}
	return unfit, nil
}
