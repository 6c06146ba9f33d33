package instep

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// mark is a committed offset of a copy's partition.
type mark struct {
	topic     string // the copy's name
	partition int32
	epoch     int32 // the leader epoch it was committed with on the standby
	offset    int64
	meta      *string
}

func (m mark) compare(o mark) int {
	return cmp.Or(cmp.Compare(m.topic, o.topic), cmp.Compare(m.partition, o.partition))
}

// same says that a consumer would get the same back. A broker makes "" of no metadata.
func (m mark) same(o mark) bool { return m.offset == o.offset && m.metadata() == o.metadata() }

func (m mark) metadata() string {
	if m.meta == nil {
		return ""
	}
	return *m.meta
}

// marks are in order of topic and partition.
type marks []mark

func (ms marks) find(m mark) (mark, bool) {
	i, ok := slices.BinarySearchFunc(ms, m, mark.compare)
	if !ok {
		return mark{}, false
	}
	return ms[i], true
}

func (ms marks) hasTopic(topic string) bool {
	_, ok := slices.BinarySearchFunc(ms, topic, func(m mark, topic string) int { return cmp.Compare(m.topic, topic) })
	return ok
}

// differing are those of ms that old lacks or has otherwise.
func (ms marks) differing(old marks) marks {
	var diff marks
	for _, m := range ms {
		if o, ok := old.find(m); !ok || !o.same(m) {
			diff = append(diff, m)
		}
	}
	return diff
}

// changed says whether differing would return any. It allocates nothing.
func (ms marks) changed(old marks) bool {
	j := 0
	for _, m := range ms {
		for j < len(old) && old[j].compare(m) < 0 {
			j++
		}
		if j == len(old) || old[j].compare(m) != 0 || !old[j].same(m) {
			return true
		}
	}
	return false
}

// with is ms with others in it; they win.
func (ms marks) with(others marks) marks {
	all := slices.Clone(others)
	for _, m := range ms {
		if _, ok := others.find(m); !ok {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, mark.compare)
	return all
}

// without is ms without others.
func (ms marks) without(others marks) marks {
	if len(others) == 0 {
		return ms
	}
	return slices.DeleteFunc(slices.Clone(ms), func(m mark) bool {
		_, ok := others.find(m)
		return ok
	})
}

// among are those of ms that are in others too.
func (ms marks) among(others marks) marks {
	return slices.DeleteFunc(slices.Clone(ms), func(m mark) bool {
		_, ok := others.find(m)
		return !ok
	})
}

// index finds the topics of a View.
type index struct {
	byID, byTargetID map[kadm.TopicID]*Topic
	byName, byTarget map[string]*Topic
}

func indexOf(v View) *index {
	ix := &index{map[kadm.TopicID]*Topic{}, map[kadm.TopicID]*Topic{}, map[string]*Topic{}, map[string]*Topic{}}
	none := kadm.TopicID{}
	for i := range v.Topics {
		t := &v.Topics[i]
		ix.byName[t.Source], ix.byTarget[t.Target] = t, t
		if t.SourceID != none {
			ix.byID[t.SourceID] = t
		}
		if t.TargetID != none {
			ix.byTargetID[t.TargetID] = t
		}
	}
	return ix
}

// idVersion is the first version of OffsetFetch with topic IDs. Below, kgo fills in what it has
// cached, which may be of another life of the topic.
const idVersion = 10

func lookup(ids map[kadm.TopicID]*Topic, names map[string]*Topic, t *kmsg.OffsetFetchResponseGroupTopic, version int16) *Topic {
	if version >= idVersion && t.TopicID != [16]byte{} {
		return ids[t.TopicID]
	}
	return names[t.Topic]
}

// copied says whether offsets of a partition mean the same on both sides now, and what the standby
// has of it.
func (t *Topic) copied(partition int32) (Partition, bool) {
	if int(partition) >= len(t.Partitions) || partition < 0 {
		return Partition{}, false
	}
	p := t.Partitions[partition]
	return p, !p.Stopped && p.Durable >= 0 && p.LogStart >= 0
}

// wanted are the marks that a group should have on the standby: what it has committed at the
// source, clamped to what the standby has.
func (ix *index) wanted(g *kmsg.OffsetFetchResponseGroup, version int16, into marks) (ms marks, clamped int, whole bool) {
	into, whole = into[:0], true
	for i := range g.Topics {
		t := lookup(ix.byID, ix.byName, &g.Topics[i], version)
		if t == nil {
			continue
		}
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			is, ok := t.copied(p.Partition)
			if p.ErrorCode != 0 {
				whole = false
			}
			if !ok || p.ErrorCode != 0 || p.Offset < 0 {
				continue
			}
			at := max(min(p.Offset, is.Durable), is.LogStart)
			if at != p.Offset {
				clamped++
			}
			into = append(into, mark{topic: t.Target, partition: p.Partition, epoch: -1, offset: at, meta: p.Metadata})
		}
	}
	slices.SortFunc(into, mark.compare)
	return into, clamped, whole
}

// present are the marks that a group has on the standby.
func (ix *index) present(g *kmsg.OffsetFetchResponseGroup, version int16) marks {
	var ms marks
	for i := range g.Topics {
		t := lookup(ix.byTargetID, ix.byTarget, &g.Topics[i], version)
		if t == nil {
			continue
		}
		for j := range g.Topics[i].Partitions {
			p := &g.Topics[i].Partitions[j]
			if p.ErrorCode == 0 && p.Offset >= 0 {
				ms = append(ms, mark{topic: t.Target, partition: p.Partition, epoch: p.LeaderEpoch, offset: p.Offset, meta: p.Metadata})
			}
		}
	}
	slices.SortFunc(ms, mark.compare)
	return ms
}

// unstable says whether a partition of a mirrored topic has a transactional commit pending.
func (ix *index) unstable(g *kmsg.OffsetFetchResponseGroup, version int16) bool {
	for i := range g.Topics {
		if lookup(ix.byID, ix.byName, &g.Topics[i], version) == nil {
			continue
		}
		for j := range g.Topics[i].Partitions {
			if g.Topics[i].Partitions[j].ErrorCode == kerr.UnstableOffsetCommit.Code {
				return true
			}
		}
	}
	return false
}
