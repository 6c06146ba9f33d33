package instep

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// otherDefaults are copies whose topics have a default of the source's brokers, where the standby's
// is another: it is set on the copy, which would lose records sooner or later else.
type otherDefaults struct{ topics map[[3]string][]string }

func (o *otherDefaults) look(t Topic, src, dst settings, owned []string) {
	for name := range HeldConfigs() {
		from, to := src[name], dst[name]
		if !from.differs(to) || to.own && !slices.Contains(owned, name) { // what somebody has set on the copy stays
			continue
		}
		if o.topics == nil {
			o.topics = map[[3]string][]string{}
		}
		key := [3]string{name, from.value, to.def}
		o.topics[key] = append(o.topics[key], t.Target)
	}
}

func (o *otherDefaults) events() []Event {
	var events []Event
	keys := slices.SortedFunc(maps.Keys(o.topics), func(a, b [3]string) int { return slices.Compare(a[:], b[:]) })
	for _, key := range keys {
		topics := o.topics[key]
		slices.Sort(topics)
		events = append(events, Event{Kind: ConfigDefault, Detail: fmt.Sprintf(
			"%s=%s, a default of the source's, is set on %s: the standby's is %s", key[0], orEmpty(key[1]), some(topics), orEmpty(key[2]))})
	}
	return events
}

func orEmpty(s string) string {
	if strings.TrimSpace(s) == "" {
		return `""`
	}
	return s
}
