package instep

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"
)

// ConfigChange is what is to change on one copy.
type ConfigChange struct {
	// Topic is the copy's name.
	Topic string `json:"topic"`
	// Set are configs to set, Remove those that go back to the standby's default.
	Set    map[string]string `json:"set,omitempty"`
	Remove []string          `json:"remove,omitempty"`
	// Replaced are the values that the copy has of its own, of what is set.
	Replaced map[string]string `json:"replaced,omitempty"`

	id    string   // the copy's, as the ledger has it
	bind  bool     // the ledger is to learn the ID, of a copy that wasn't there before
	owned []string // what is ours with Set, and before Remove
	later []string // what is ours after Remove
}

func (c ConfigChange) empty() bool { return len(c.Set) == 0 && len(c.Remove) == 0 }

// ConfigPlan is what is to change, and what there is to say about it.
type ConfigPlan struct {
	Changes []ConfigChange `json:"changes,omitempty"`
	Events  []Event        `json:"events,omitempty"`
}

// setting is a config as a cluster has it.
type setting struct {
	value string
	own   bool // set on the topic itself
	known bool // a value is told: not of sensitive ones
	// def is what it would be, were it not set on the topic; hasDef says that this is told.
	def    string
	hasDef bool
	unit   time.Duration // of a broker's config that it was told in
}

// settings are a topic's configs by name.
type settings map[string]setting

// carried are the configs that are carried, with their values, and what there is to say about them.
// What is held, retention and cleanup, is carried as it is in effect: a default of the standby's
// brokers may be another one.
func carried(t Topic, src, dst settings, owned []string) (map[string]string, []Event) {
	var events []Event
	want := map[string]string{}
	out := map[string]bool{}
	for _, l := range LeftOutConfigs() {
		out[l.Name] = true
	}
	held := HeldConfigs()
	for name, s := range src {
		_, waits := held[name]
		if s.own && s.known && !out[name] && (t.Ready || !waits) {
			want[name] = s.value
		}
	}
	if t.Ready {
		for name := range held {
			if s, is := src[name], dst[name]; s.differs(is) && (!is.own || slices.Contains(owned, name)) {
				want[name] = s.value
			}
		}
	}
	if n, err := strconv.Atoi(want[cfgMinInSync]); err == nil && t.ReplicationFactor > 0 && n > int(t.ReplicationFactor) {
		want[cfgMinInSync] = strconv.Itoa(int(t.ReplicationFactor))
		events = append(events, Event{Kind: ConfigCapped, Topic: t.Target,
			Detail: fmt.Sprintf("%s=%d is lowered to the replication factor %d", cfgMinInSync, n, t.ReplicationFactor)})
	}
	for name, value := range fixed() {
		if dst[name].value != value {
			want[name] = value
		}
	}
	largest(want, src, dst)
	return want, events
}

// differs says that a default of the source's isn't the copy's, where nothing is set on either.
func (s setting) differs(is setting) bool { return !s.own && s.known && is.hasDef && is.def != s.value }

// largest keeps max.message.bytes at least at the source's effective value. It is never lowered:
// batches that were written under a larger limit may still have to be copied.
func largest(want map[string]string, src, dst settings) {
	delete(want, cfgMaxMessage)
	at, err := strconv.ParseInt(src[cfgMaxMessage].value, 10, 64)
	if err != nil {
		return
	}
	now, err := strconv.ParseInt(dst[cfgMaxMessage].value, 10, 64)
	if err != nil || now < at || src[cfgMaxMessage].own && !dst[cfgMaxMessage].own {
		want[cfgMaxMessage] = strconv.FormatInt(max(at, now), 10)
	}
}

// planConfigs compares a topic with its copy. owned are the configs that were set from here before.
// Configs that only the copy has stay.
func planConfigs(t Topic, src, dst settings, owned []string) (ConfigChange, []Event) {
	want, events := carried(t, src, dst, owned)
	c := ConfigChange{Topic: t.Target, Set: map[string]string{}, owned: slices.Clone(owned)}
	for name, value := range want {
		if is := dst[name]; !is.own || is.value != value {
			c.set(name, value, is)
		}
	}
	slices.Sort(c.owned)
	c.owned = slices.Compact(c.owned)
	for _, name := range c.owned {
		if _, wanted := want[name]; wanted || stays(t, name) {
			continue
		}
		if dst[name].own {
			c.Remove = append(c.Remove, name)
		}
	}
	c.later = slices.DeleteFunc(slices.Clone(c.owned), func(name string) bool {
		_, wanted := want[name]
		return !wanted && !stays(t, name)
	})
	return c, events
}

// set sets a config that becomes ours.
func (c *ConfigChange) set(name, value string, is setting) {
	if is.own && !slices.Contains(c.owned, name) {
		if c.Replaced == nil {
			c.Replaced = map[string]string{}
		}
		c.Replaced[name] = is.value
	}
	c.Set[name] = value
	c.owned = append(c.owned, name)
}

// stays says whether a config of ours stays although the source doesn't set it (any more): what the
// copy needs, and what is held.
func stays(t Topic, name string) bool {
	if _, ok := fixed()[name]; ok || name == cfgMaxMessage {
		return true
	}
	_, held := HeldConfigs()[name]
	return held && !t.Ready
}

// names are a change's configs, in order.
func (c ConfigChange) names() []string {
	return append(slices.Sorted(maps.Keys(c.Set)), c.Remove...)
}
