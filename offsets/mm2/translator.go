package mm2

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/offsets"
)

// Translator translates by what MirrorMaker left on its target, as it was at [Open]. It is safe for
// concurrent use.
type Translator struct {
	cfg        Config
	target     *target
	parts      map[place]*partition
	groups     map[groupPlace]Checkpoint
	heartbeats map[string]int64 // by target alias
	skipped    []*RecordError
	missing    []string

	lastCheckpoint time.Time
}

type place struct {
	topic     string // the target's name
	partition int32
}

type groupPlace struct {
	group string
	place
}

var _ offsets.Translator = (*Translator)(nil)

// GroupOffset is what a group's committed offset becomes.
type GroupOffset struct {
	Group string `json:"group"`
	// SourceTopic is the source's name of the topic, empty where the policy doesn't tell.
	SourceTopic string `json:"source_topic"`
	// Upstream is the offset that the group had committed on the source when MirrorMaker wrote its
	// last checkpoint.
	Upstream int64 `json:"upstream"`
	// Checkpoint is the target's offset in that checkpoint: the answer of MirrorMaker's own
	// clients.
	Checkpoint int64 `json:"checkpoint"`
	// Metadata is that of the group's commit.
	Metadata string `json:"metadata"`
	offsets.Translated
}

// Groups translates the offsets of groups, all of them where none is named, sorted by group, topic
// and partition. A group that MirrorMaker wrote no checkpoint of isn't there. The error is that of
// a read that failed, a [*TopicError].
func (t *Translator) Groups(ctx context.Context, groups ...string) ([]GroupOffset, error) {
	var found []GroupOffset
	for at, c := range t.groups {
		if len(groups) > 0 && !slices.Contains(groups, at.group) {
			continue
		}
		tr, err := t.parts[at.place].translate(ctx, t.target.scan, t.cfg.MaxScan, c.Upstream)
		if err != nil {
			return nil, err
		}
		source, _ := t.cfg.Policy.Upstream(c.Topic)
		found = append(found, GroupOffset{Group: c.Group, SourceTopic: source, Upstream: c.Upstream, Checkpoint: c.Downstream, Metadata: c.Metadata, Translated: tr})
	}
	slices.SortFunc(found, func(a, b GroupOffset) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return found, nil
}

// Captured is what the source's groups had committed, as far as MirrorMaker's checkpoints say: for
// [offsets.NewGroupsPlan], together with [offsets.Through] of this Translator. Its time is that of
// the last checkpoint. Types, states, topic IDs and leader epochs aren't known, and topics whose
// source name the policy doesn't tell aren't there.
func (t *Translator) Captured() *offsets.Groups {
	byName := map[string][]offsets.Committed{}
	for at, c := range t.groups {
		if topic, ok := t.cfg.Policy.Upstream(c.Topic); ok {
			byName[at.group] = append(byName[at.group],
				offsets.Committed{Topic: topic, Partition: c.Partition, Offset: c.Upstream, LeaderEpoch: -1, Metadata: &c.Metadata})
		}
	}
	captured := &offsets.Groups{At: t.lastCheckpoint}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		committed := byName[name]
		slices.SortFunc(committed, func(a, b offsets.Committed) int {
			return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
		})
		captured.Groups = append(captured.Groups, offsets.Group{Group: name, Offsets: committed})
	}
	return captured
}

// Translate says what an offset of a source's partition, by the source's name of the topic, is on
// the target. Of a partition that MirrorMaker says nothing of the answer is [offsets.HowUnknown].
// The error is that of a read that failed, a [*TopicError].
func (t *Translator) Translate(ctx context.Context, topic string, partition int32, upstream int64) (offsets.Translated, error) {
	at := place{t.cfg.Policy.Remote(t.cfg.SourceAlias, topic), partition}
	p := t.parts[at]
	if p == nil {
		return offsets.Translated{Topic: at.topic, Partition: partition, Offset: -1, How: offsets.HowUnknown,
			Evidence: "MirrorMaker says nothing of this partition"}, nil
	}
	return p.translate(ctx, t.target.scan, t.cfg.MaxScan, upstream)
}

// Mirrored is the offset of the last source record that MirrorMaker had mirrored when it committed
// last; false where it says nothing. The target may have more.
func (t *Translator) Mirrored(topic string, partition int32) (int64, bool) {
	p := t.parts[place{t.cfg.Policy.Remote(t.cfg.SourceAlias, topic), partition}]
	if p == nil || p.mirrored < 0 {
		return 0, false
	}
	return p.mirrored, true
}

// LastHeartbeat is the time of the flow's last heartbeat, in milliseconds since the epoch by
// MirrorMaker's clock; false where there is none.
func (t *Translator) LastHeartbeat() (int64, bool) {
	last, ok := int64(0), false
	for _, ms := range t.heartbeats {
		last, ok = max(last, ms), true
	}
	return last, ok
}

// Missing are topics of MirrorMaker's that the target doesn't have, by name. Without offset-syncs
// (their default place is the source) answers are exact more rarely; without checkpoints there are
// no groups.
func (t *Translator) Missing() []string { return t.missing }

// Skipped are records that aren't what MirrorMaker writes, at most 1000 of them.
func (t *Translator) Skipped() []*RecordError { return t.skipped }

// maxSkipped bounds what is kept of junk.
const maxSkipped = 1000

func (t *Translator) skip(r *kgo.Record, err error) {
	if len(t.skipped) < maxSkipped {
		t.skipped = append(t.skipped, &RecordError{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Err: err})
	}
}

// at is the partition of the target, known from now on.
func (t *Translator) at(topic string, part int32) *partition {
	at := place{topic, part}
	p := t.parts[at]
	if p == nil {
		p = &partition{topic: topic, partition: part, mirrored: -1}
		t.parts[at] = p
	}
	return p
}
