package storage

import (
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

func encodeTopic(t Topic) []byte {
	var e wire.Encoder
	e.String(t.Name)
	e.Varint(int64(t.Partitions))
	e.Varint(int64(t.ReplicationFactor))
	e.Bool(t.Internal)
	e.String(t.ConfigsError)
	encodeTime(&e, t.Deleted)
	e.Uvarint(uint64(len(t.Configs)))
	for _, c := range slices.SortedStableFunc(slices.Values(t.Configs), func(a, b TopicConfig) int { return strings.Compare(a.Key, b.Key) }) {
		e.String(c.Key)
		e.OptString(c.Value)
		e.String(c.Source)
	}
	return e.B
}

func decodeTopic(key, value []byte) (Topic, error) {
	k := wire.NewDecoder(key)
	k.Raw(1)
	var t Topic
	copy(t.ID[:], k.Raw(16))
	if err := k.Done(); err != nil {
		return Topic{}, err
	}
	d := wire.NewDecoder(value)
	t.Name, t.Partitions, t.ReplicationFactor = d.String(), d.Varint32(), int16(d.Varint32())
	t.Internal, t.ConfigsError, t.Deleted = d.Bool(), d.String(), decodeTime(d)
	n := d.Count(3)
	for range n {
		t.Configs = append(t.Configs, TopicConfig{Key: d.String(), Value: d.OptString(), Source: d.String()})
		if d.Err() != nil {
			break
		}
	}
	return t, d.Done()
}

func encodeGroup(g Group) []byte {
	var e wire.Encoder
	for _, s := range []string{g.Type, g.State, g.ProtocolType, g.Error} {
		e.String(s)
	}
	e.Uvarint(uint64(len(g.Offsets)))
	for _, o := range g.Offsets {
		e.Raw(o.TopicID[:])
		e.String(o.Topic)
		e.Varint(int64(o.Partition))
		e.Varint(o.Offset)
		e.Varint(int64(o.LeaderEpoch))
		e.OptString(o.Metadata)
	}
	if g.AbsentSince.IsZero() && len(g.Pending) == 0 {
		return e.B // as in version 1
	}
	encodeTime(&e, g.AbsentSince)
	e.Uvarint(uint64(len(g.Pending)))
	for _, p := range g.Pending {
		e.String(p.Topic)
		e.Varint(int64(p.Partition))
	}
	return e.B
}

func decodeGroup(key, value []byte) (Group, error) {
	g := Group{Name: string(key[1:])}
	d := wire.NewDecoder(value)
	for _, s := range []*string{&g.Type, &g.State, &g.ProtocolType, &g.Error} {
		*s = d.String()
	}
	n := d.Count(21)
	for range n {
		var o GroupOffset
		copy(o.TopicID[:], d.Raw(16))
		o.Topic, o.Partition, o.Offset = d.String(), d.Varint32(), d.Varint()
		o.LeaderEpoch, o.Metadata = d.Varint32(), d.OptString()
		if d.Err() != nil {
			break
		}
		g.Offsets = append(g.Offsets, o)
	}
	if d.Err() != nil || d.Len() == 0 {
		return g, d.Done()
	}
	g.AbsentSince = decodeTime(d)
	for range d.Count(2) {
		g.Pending = append(g.Pending, GroupPartition{Topic: d.String(), Partition: d.Varint32()})
		if d.Err() != nil {
			break
		}
	}
	return g, d.Done()
}
