package restore

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/storage"
)

// Topic configs that restore reads or sets.
const (
	cfgCleanup      = "cleanup.policy"
	cfgRetentionMs  = "retention.ms"
	cfgRetention    = "retention.bytes"
	cfgBefore       = "message.timestamp.before.max.ms"
	cfgAfter        = "message.timestamp.after.max.ms"
	cfgStampType    = "message.timestamp.type"
	cfgMaxMessage   = "max.message.bytes"
	cfgCompression  = "compression.type"
	cfgMinInSync    = "min.insync.replicas"
	cfgSegmentBytes = "segment.bytes"

	dynamicTopicConfig = "DYNAMIC_TOPIC_CONFIG"
	noLimit            = "9223372036854775807"
)

// inherited are the configs that are set explicitly on the target although the source's topic
// inherited them: the target's own defaults could delete, refuse or change restored records.
var inherited = []string{cfgCleanup, cfgRetentionMs, cfgRetention, cfgBefore, cfgAfter, cfgStampType, cfgMaxMessage, cfgCompression}

// notCarried are configs that mean nothing on another cluster: they name brokers, or are gone from
// Kafka.
var notCarried = []string{
	"leader.replication.throttled.replicas", "follower.replication.throttled.replicas",
	"message.format.version", "message.timestamp.difference.max.ms",
}

// holds are the configs that stay as they are while copying until [Release], where restored records
// would expire.
var holds = map[string]string{
	cfgCleanup: "delete", cfgRetentionMs: "-1", cfgRetention: "-1", cfgBefore: noLimit, cfgAfter: noLimit,
}

// topicConfigs are a topic's configs in the end and while copying.
type topicConfigs struct {
	final, copying map[string]string
	warnings       []string
}

// newTopicConfigs computes a topic's configs from the snapshot's. largest is the length of its
// largest batch.
func newTopicConfigs(t storage.Topic, rf int16, largest int64) topicConfigs {
	c := topicConfigs{final: map[string]string{}}
	for _, e := range t.Configs {
		switch {
		case e.Value == nil || e.Source != dynamicTopicConfig && !slices.Contains(inherited, e.Key):
		case slices.Contains(notCarried, e.Key):
			if e.Source == dynamicTopicConfig && *e.Value != "" {
				c.warnings = append(c.warnings, fmt.Sprintf("config %s=%s isn't carried over", e.Key, *e.Value))
			}
		default:
			c.final[e.Key] = *e.Value
		}
	}
	if t.ConfigsError != "" {
		c.warnings = append(c.warnings, "the snapshot has no configs of this topic, it gets the target's defaults: "+t.ConfigsError)
	}
	if n, ok := c.number(cfgMinInSync); ok && n > int64(rf) {
		c.final[cfgMinInSync] = strconv.Itoa(int(rf))
		c.warnings = append(c.warnings, fmt.Sprintf("config %s=%d is lowered to the replication factor %d", cfgMinInSync, n, rf))
	}
	c.copying = maps.Clone(c.final)
	maps.Copy(c.copying, holds)
	c.copying[cfgStampType], c.copying[cfgCompression] = "CreateTime", "producer"
	c.atLeast(cfgMaxMessage, largest)
	if _, ok := c.final[cfgSegmentBytes]; ok {
		c.atLeast(cfgSegmentBytes, largest)
	}
	return c
}

// atLeast raises a numeric config while copying.
func (c *topicConfigs) atLeast(key string, n int64) {
	if old, err := strconv.ParseInt(c.copying[key], 10, 64); err != nil || old < n {
		c.copying[key] = strconv.FormatInt(max(n, defaultMaxMessage), 10)
	}
}

// defaultMaxMessage is Kafka's default of max.message.bytes.
const defaultMaxMessage = 1048588

func (c *topicConfigs) number(key string) (int64, bool) {
	n, err := strconv.ParseInt(c.final[key], 10, 64)
	return n, err == nil
}

// maxBatch is the longest batch that the target takes while copying.
func (c *topicConfigs) maxBatch() int {
	n, _ := strconv.Atoi(c.copying[cfgMaxMessage])
	return n
}

// drop leaves a config out that the target doesn't take.
func (c *topicConfigs) drop(key string) {
	delete(c.final, key)
	delete(c.copying, key)
}

// expiry is what of a topic's content its final policy would remove now.
type expiry struct {
	records   int64
	oldest    int64 // smallest timestamp, milliseconds
	partition int64 // bytes of the largest partition
}

// held returns the configs that must stay held, with the value to come (empty: the target's
// default), and why; nothing where no record would expire.
func (c *topicConfigs) held(e expiry, now time.Time) (map[string]string, string) {
	why := c.expires(e, now)
	if why == "" {
		return nil, ""
	}
	held := map[string]string{}
	for key, value := range holds {
		if final := c.final[key]; final != value && c.copying[key] == value {
			held[key] = final
		}
	}
	if len(held) == 0 {
		return nil, ""
	}
	return held, why
}

func (c *topicConfigs) expires(e expiry, now time.Time) string {
	if e.records == 0 {
		return ""
	}
	policy, known := c.final[cfgCleanup]
	if !known {
		return "the topic's own policy isn't known"
	}
	if strings.Contains(policy, "compact") {
		return "the cleaner would compact restored records"
	}
	if !strings.Contains(policy, "delete") {
		return ""
	}
	if ms, ok := c.number(cfgRetentionMs); ok && ms >= 0 && e.oldest < now.UnixMilli()-ms {
		return "restored records are older than " + cfgRetentionMs
	}
	if n, ok := c.number(cfgRetention); ok && n >= 0 && e.partition > n {
		return "a restored partition is larger than " + cfgRetention
	}
	return ""
}

// atEnd are the configs to set when a topic is complete: its own, but for held ones, where the
// target has what was set for copying. Others were changed since, and stay. nil gives the target's
// default back.
func (c *topicConfigs) atEnd(held map[string]string, now map[string]current) map[string]*string {
	end := map[string]*string{}
	for key, value := range c.copying {
		if _, ok := held[key]; ok || !now[key].own || now[key].value != value {
			continue
		}
		if final, ok := c.final[key]; ok {
			end[key] = &final
		} else {
			end[key] = nil
		}
	}
	return end
}

// whileCopying are the configs to set on a topic that exists and isn't complete.
func (c *topicConfigs) whileCopying() map[string]*string {
	set := map[string]*string{}
	for key, value := range c.copying {
		set[key] = &value
	}
	return set
}
