package instep

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Quota is one value of one entity. Entity has the types user, client-id and ip; a nil name is the
// default of its type.
type Quota struct {
	Entity map[string]*string `json:"entity"`
	Key    string             `json:"key"`
	Value  float64            `json:"value"`
}

// String is the quota as it is said.
func (q Quota) String() string {
	return q.entity() + " " + q.Key + "=" + strconv.FormatFloat(q.Value, 'g', -1, 64)
}

// entity is the entity's name, the same for the same entity.
func (q Quota) entity() string {
	var parts []string
	for _, kind := range slices.Sorted(maps.Keys(q.Entity)) {
		if name := q.Entity[kind]; name == nil {
			parts = append(parts, kind+" (default)")
		} else {
			parts = append(parts, kind+" "+strconv.Quote(*name))
		}
	}
	return strings.Join(parts, ", ")
}

func (q Quota) id() quotaID { return quotaID{q.entity(), q.Key} }

func (q Quota) compare(o Quota) int {
	return cmp.Or(strings.Compare(q.entity(), o.entity()), strings.Compare(q.Key, o.Key))
}

// quotaID tells values of entities apart.
type quotaID struct{ entity, key string }

// QuotaPlan is what is to change.
type QuotaPlan struct {
	Set    []Quota `json:"set,omitempty"`
	Remove []Quota `json:"remove,omitempty"`

	owned, later []Quota // ours with Set, and in the end
}

// unbound is a value that binds nobody, of every key.
const unbound = 1e12

// exempt are the quotas of a client ID that go before the defaults among others: Kafka takes the
// most special one that there is.
func exempt(quotas []Quota, clientID string) []Quota {
	there, free := byID(quotas), map[quotaID]Quota{}
	for _, q := range quotas {
		user, ofUser := q.Entity["user"]
		client, ofClient := q.Entity["client-id"]
		if user != nil || client != nil || !ofUser && !ofClient {
			continue
		}
		own := Quota{Entity: map[string]*string{"client-id": &clientID}, Key: q.Key, Value: unbound}
		if ofUser {
			own.Entity["user"] = nil
		}
		if _, ok := there[own.id()]; !ok {
			free[own.id()] = own
		}
	}
	return slices.SortedFunc(maps.Values(free), Quota.compare)
}

// planQuotas compares the quotas. owned are those that were set from here before; what only the
// standby has stays.
func planQuotas(src, dst, owned []Quota) *QuotaPlan {
	want, there, ours := byID(src), byID(dst), byID(owned)
	p := &QuotaPlan{}
	for id, q := range want {
		if is, ok := there[id]; !ok || is.Value != q.Value {
			p.Set = append(p.Set, q)
			ours[id] = q
		}
	}
	for id, q := range ours {
		q.Value = 0 // whose it is counts, not what it was
		p.owned = append(p.owned, q)
		_, wanted := want[id]
		if wanted {
			p.later = append(p.later, q)
		} else if is, ok := there[id]; ok {
			p.Remove = append(p.Remove, is)
		}
	}
	for _, qs := range [][]Quota{p.Set, p.Remove, p.owned, p.later} {
		slices.SortFunc(qs, Quota.compare)
	}
	return p
}

func byID(qs []Quota) map[quotaID]Quota {
	all := make(map[quotaID]Quota, len(qs))
	for _, q := range qs {
		all[q.id()] = q
	}
	return all
}
