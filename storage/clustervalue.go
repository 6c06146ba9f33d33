package storage

import (
	"maps"
	"math"
	"slices"

	"github.com/kafkadr/kafkadr/storage/internal/wire"
)

func encodeCluster(c *Cluster) []byte {
	var e wire.Encoder
	e.Varint(int64(c.Brokers))
	e.Uvarint(uint64(len(c.ACLs)))
	for i := range c.ACLs {
		for _, s := range c.ACLs[i].fields() {
			e.String(*s)
		}
	}
	e.Uvarint(uint64(len(c.Quotas)))
	for _, q := range c.Quotas {
		encodeQuota(&e, q)
	}
	for _, list := range [][]string{c.ScramUsers, c.LeftOut} {
		e.Uvarint(uint64(len(list)))
		for _, s := range list {
			e.String(s)
		}
	}
	e.Uvarint(uint64(len(c.Unread)))
	for _, k := range slices.Sorted(maps.Keys(c.Unread)) {
		e.String(k)
		e.String(c.Unread[k])
	}
	return e.B
}

func decodeCluster(value []byte) (Cluster, error) {
	d := wire.NewDecoder(value)
	c := Cluster{Brokers: int(d.Varint32())}
	for range d.Count(7) {
		var a ACL
		for _, s := range a.fields() {
			*s = d.String()
		}
		if d.Err() != nil {
			break
		}
		c.ACLs = append(c.ACLs, a)
	}
	for range d.Count(2) {
		c.Quotas = append(c.Quotas, decodeQuota(d))
		if d.Err() != nil {
			break
		}
	}
	for _, list := range []*[]string{&c.ScramUsers, &c.LeftOut} {
		for range d.Count(1) {
			*list = append(*list, d.String())
			if d.Err() != nil {
				break
			}
		}
	}
	for range d.Count(2) {
		if c.Unread == nil {
			c.Unread = map[string]string{}
		}
		k := d.String()
		c.Unread[k] = d.String()
		if d.Err() != nil {
			break
		}
	}
	return c, d.Done()
}

func (a *ACL) fields() []*string {
	return []*string{&a.ResourceType, &a.ResourceName, &a.PatternType, &a.Principal, &a.Host, &a.Operation, &a.Permission}
}

func encodeQuota(e *wire.Encoder, q Quota) {
	e.Uvarint(uint64(len(q.Entity)))
	for _, k := range slices.Sorted(maps.Keys(q.Entity)) {
		e.String(k)
		e.OptString(q.Entity[k])
	}
	e.Uvarint(uint64(len(q.Values)))
	for _, k := range slices.Sorted(maps.Keys(q.Values)) {
		e.String(k)
		e.Uvarint(math.Float64bits(q.Values[k]))
	}
}

func decodeQuota(d *wire.Decoder) Quota {
	q := Quota{Entity: map[string]*string{}, Values: map[string]float64{}}
	for range d.Count(2) {
		k := d.String()
		q.Entity[k] = d.OptString()
		if d.Err() != nil {
			break
		}
	}
	for range d.Count(2) {
		k := d.String()
		q.Values[k] = math.Float64frombits(d.Uvarint())
		if d.Err() != nil {
			break
		}
	}
	return q
}
