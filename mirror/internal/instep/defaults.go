package instep

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// otherDefaults are copies that neither side has set a policy on, where the clusters' defaults differ: the copy would lose records sooner or later than the source does.
type otherDefaults struct{ topics map[[3]string][]string }

func (o *otherDefaults) look(t Topic, src, dst settings) {
	if !t.Ready {
		return
	}
	for name := range HeldConfigs() {
		from, to := src[name], dst[name]
		if from.own || to.own || !from.known || !to.known || from.value == to.value {
			continue
		}
		if o.topics == nil {
			o.topics = map[[3]string][]string{}
		}
		key := [3]string{name, from.value, to.value}
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
			"%s is set on neither side of %s; the source's default is %s, the standby's %s", key[0], some(topics), orEmpty(key[1]), orEmpty(key[2]))})
	}
	return events
}

func orEmpty(s string) string {
	if strings.TrimSpace(s) == "" {
		return `""`
	}
	return s
}
