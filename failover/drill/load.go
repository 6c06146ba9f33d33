package drill

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// Load is what applications do during a drill: producers that number the records of each key, and a
// consumer group that commits what it has got.
type Load struct {
	// Topics are created on the primary where they are missing. Default: one, drill.
	Topics []string `json:"topics,omitempty"`
	// Partitions are those of topics that are created. Default 3.
	Partitions int32 `json:"partitions,omitempty"`
	// Keys are the keys of each topic. Default 20.
	Keys int `json:"keys,omitempty"`
	// Rate is the records a second, of all producers together. Default 500.
	Rate int `json:"rate,omitempty"`
	// Size is the bytes of a value, at least 64. Default 100.
	Size int `json:"size,omitempty"`
	// Producers and Consumers are the clients of either kind; producers share the keys, consumers
	// are one group. Default 1 each.
	Producers int `json:"producers,omitempty"`
	Consumers int `json:"consumers,omitempty"`
	// Group is the consumers'. Default drill.
	Group string `json:"group,omitempty"`
}

func (l Load) withDefaults() Load {
	if len(l.Topics) == 0 {
		l.Topics = []string{"drill"}
	}
	l.Partitions = cmp.Or(l.Partitions, 3)
	l.Keys = cmp.Or(l.Keys, 20)
	l.Rate = cmp.Or(l.Rate, 500)
	l.Size = cmp.Or(l.Size, 100)
	l.Producers = cmp.Or(l.Producers, 1)
	l.Consumers = cmp.Or(l.Consumers, 1)
	l.Group = cmp.Or(l.Group, "drill")
	return l
}

// minSize has room for a nonce and a sequence.
const minSize = 64

func (l Load) validate() (errs []error) {
	for name, n := range map[string]int{"partitions": int(l.Partitions), "keys": l.Keys, "rate": l.Rate, "size": l.Size, "producers": l.Producers, "consumers": l.Consumers} {
		if n < 0 {
			errs = append(errs, fmt.Errorf("load.%s is negative", name))
		}
	}
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	if l.Size > 0 && l.Size < minSize {
		errs = append(errs, fmt.Errorf("load.size %d is less than %d", l.Size, minSize))
	}
	if d := l.withDefaults(); d.Producers > d.Keys {
		errs = append(errs, fmt.Errorf("load.producers %d are more than the %d keys", d.Producers, d.Keys))
	}
	if slices.Contains(l.Topics, "") {
		errs = append(errs, fmt.Errorf("load.topics has an empty name"))
	}
	if topics := slices.Sorted(slices.Values(l.Topics)); len(slices.Compact(topics)) < len(l.Topics) {
		errs = append(errs, fmt.Errorf("load.topics has a name twice"))
	}
	return errs
}

// keys are those of one producer.
func (l Load) keys(producer int) (keys []Key) {
	for i := producer; i < l.Keys; i += l.Producers {
		for _, t := range l.Topics {
			keys = append(keys, Key{t, fmt.Sprintf("key-%03d", i)})
		}
	}
	return keys
}

// patterns are the topics as regular expressions.
func (l Load) patterns() (all []string) {
	for _, t := range l.Topics {
		all = append(all, regexp.QuoteMeta(t))
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
