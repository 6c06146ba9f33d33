package instep

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

const (
	describeTopics = 200 // in one request
	alterTopics    = 100
	tryRefused     = 10 * time.Minute
)

// Configs keeps the configs of copies in step: what is set on a topic at the source is set on its
// copy, but for [LeftOutConfigs]. What only the copy has stays; what was removed at the source is
// removed where it was set from here. Use [NewConfigs]; one Sync at a time.
type Configs struct {
	sides   Sides
	notices notices
	refused map[configAt]refusal
}

type configAt struct{ topic, name string }

// refusal is a value that the standby didn't take.
type refusal struct {
	value, why string
	again      time.Time
}

// NewConfigs is ready to Sync.
func NewConfigs(s Sides) *Configs {
	return &Configs{sides: s.withDefaults(), refused: map[configAt]refusal{}}
}

// configsNote is what the ledger has under configs/<copy>.
type configsNote struct {
	// ID is the copy's topic ID, empty where it was noted before the copy was there.
	ID  string   `json:"id,omitempty"`
	Set []string `json:"set"`
}

func configsKey(target string) string { return "configs/" + target }

// Created notes that copies are about to be created with [NewTopicConfigs], so that the hold can be
// taken off again. Call it before.
func (s *Configs) Created(ctx context.Context, targets ...string) error {
	put := map[string]any{}
	for _, name := range targets {
		n := configsNote{}
		for config := range NewTopicConfigs() {
			n.Set = append(n.Set, config)
		}
		slices.Sort(n.Set)
		put[configsKey(name)] = n
	}
	if len(put) == 0 {
		return nil
	}
	if err := s.sides.Ledger.Put(ctx, put); err != nil {
		return fmt.Errorf("instep: configs: %w", err)
	}
	return nil
}

// Plan says what Sync would change, and asks the standby whether it takes it.
func (s *Configs) Plan(ctx context.Context, v View) (*ConfigPlan, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, v, &r)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, t := range v.Topics {
		there[t.Target] = t.TargetID != (kadm.TopicID{})
	}
	for _, c := range p.Changes {
		if there[c.Topic] {
			s.alter(ctx, &r, []ConfigChange{c}, true)
		}
	}
	p.Changes = slices.DeleteFunc(p.Changes, ConfigChange.empty) // what is only to be noted
	p.Events = append(p.Events, r.Events...)
	return p, ended(ctx)
}

// Sync makes the copies' configs what they should be.
func (s *Configs) Sync(ctx context.Context, v View) (Report, error) {
	ctx, cancel := s.sides.budget(ctx)
	defer cancel()
	var r Report
	s.notices.begin()
	p, err := s.plan(ctx, v, &r)
	if err != nil {
		return r, err
	}
	for chunk := range slices.Chunk(p.Changes, alterTopics) {
		if err := s.apply(ctx, &r, chunk); err != nil {
			return r, fmt.Errorf("instep: configs: %w", err)
		}
	}
	s.notices.end()
	return r, ended(ctx)
}

// plan reads both sides and compares them. What is to be said goes into r.
func (s *Configs) plan(ctx context.Context, v View, r *Report) (*ConfigPlan, error) {
	p := &ConfigPlan{}
	var defaults otherDefaults
	brokers := sync.OnceValue(func() settings { return s.brokers(ctx) })
	for topics := range slices.Chunk(v.Topics, describeTopics) {
		src, err := s.describe(ctx, r, s.sides.Source, topics, func(t Topic) string { return t.Source })
		if err != nil {
			return nil, fmt.Errorf("instep: configs: source: %w", err)
		}
		dst, err := s.describe(ctx, r, s.sides.Target, slices.DeleteFunc(slices.Clone(topics), func(t Topic) bool { return t.TargetID == (kadm.TopicID{}) }),
			func(t Topic) string { return t.Target })
		if err != nil {
			return nil, fmt.Errorf("instep: configs: target: %w", err)
		}
		for _, t := range topics {
			from, ok := src[t.Source]
			to, there := dst[t.Target]
			if !ok || !there && t.TargetID != (kadm.TopicID{}) {
				continue
			}
			c, events, err := s.planTopic(t, from, to)
			if err != nil {
				return nil, fmt.Errorf("instep: configs: %w", err)
			}
			for _, e := range events {
				s.notices.note(r, e, "")
			}
			if t.TargetID == (kadm.TopicID{}) {
				defaults.look(t, from, brokers(), nil)
			} else {
				defaults.look(t, from, to, c.owned)
			}
			s.dropRefused(r, &c)
			if !c.empty() || len(c.owned) != len(c.later) || c.bind {
				p.Changes = append(p.Changes, c)
			}
		}
	}
	for _, e := range defaults.events() {
		s.notices.note(r, e, e.Detail)
	}
	return p, nil
}

func (s *Configs) planTopic(t Topic, from, to settings) (ConfigChange, []Event, error) {
	var note configsNote
	if _, err := s.sides.Ledger.Get(configsKey(t.Target), &note); err != nil {
		return ConfigChange{}, nil, err
	}
	id := ""
	if t.TargetID != (kadm.TopicID{}) {
		id = t.TargetID.String()
	}
	if note.ID != "" && note.ID != id {
		note.Set = nil // of another topic that had the name
	}
	c, events := planConfigs(t, from, to, note.Set)
	c.id, c.bind = id, note.ID != id && len(note.Set) > 0
	return c, events, nil
}

// dropRefused leaves out what the standby refused lately.
func (s *Configs) dropRefused(r *Report, c *ConfigChange) {
	for _, name := range c.names() {
		at := configAt{c.Topic, name}
		was, ok := s.refused[at]
		switch {
		case !ok:
		case was.value != c.Set[name] || time.Now().After(was.again):
			delete(s.refused, at)
		default:
			s.notices.note(r, Event{Kind: ConfigRefused, Topic: c.Topic, Detail: was.why}, name)
			delete(c.Set, name)
			c.Remove = slices.DeleteFunc(c.Remove, func(n string) bool { return n == name })
		}
	}
}

// describe reads the configs of topics of one side. Topics that are gone, or can't be read, are
// left out.
func (s *Configs) describe(ctx context.Context, r *Report, cl *rawkafka.Cluster, topics []Topic, name func(Topic) string) (map[string]settings, error) {
	if len(topics) == 0 {
		return nil, nil
	}
	targets := map[string]string{}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = name(t)
		targets[names[i]] = t.Target
	}
	var rs kadm.ResourceConfigs
	err := retry(ctx, func() (err error) {
		rs, err = cl.Admin().DescribeTopicConfigs(ctx, names...)
		return err
	})
	if err != nil {
		return nil, err
	}
	all := make(map[string]settings, len(rs))
	for _, rc := range rs {
		switch {
		case rc.Err == nil:
			all[rc.Name] = settingsOf(rc)
		case rawkafka.Unknown(rc.Err):
		default:
			s.notices.note(r, Event{Kind: ConfigsUnread, Topic: targets[rc.Name], Detail: fmt.Sprintf("%s of cluster %s: %v", rc.Name, cl.ID(), rc.Err)}, cl.ID())
		}
	}
	return all, nil
}

// brokers are the standby's defaults of what is held, for copies that aren't there yet; none where
// they may not be read.
func (s *Configs) brokers(ctx context.Context) settings {
	meta, err := s.sides.Target.Admin().BrokerMetadata(ctx)
	if err != nil {
		return nil
	}
	rs, err := s.sides.Target.Admin().DescribeBrokerConfigs(ctx, meta.Controller)
	if err != nil || len(rs) == 0 || rs[0].Err != nil {
		return nil
	}
	all := settings{}
	for _, c := range rs[0].Configs {
		switch c.Key {
		case "log.cleanup.policy":
			all[cfgCleanup] = setting{def: c.MaybeValue(), hasDef: c.Value != nil}
		case "log.retention.bytes":
			all[cfgRetention] = setting{def: c.MaybeValue(), hasDef: c.Value != nil}
		case "log.retention.ms", "log.retention.minutes", "log.retention.hours": // the finest that is set
			unit := map[string]time.Duration{"log.retention.ms": time.Millisecond, "log.retention.minutes": time.Minute, "log.retention.hours": time.Hour}[c.Key]
			n, err := strconv.ParseInt(c.MaybeValue(), 10, 64)
			if was := all[cfgRetentionMs]; err == nil && (!was.hasDef || unit < was.unit) {
				all[cfgRetentionMs] = setting{def: strconv.FormatInt(n*unit.Milliseconds(), 10), hasDef: true, unit: unit}
			}
		}
	}
	return all
}

func settingsOf(rc kadm.ResourceConfig) settings {
	all := make(settings, len(rc.Configs))
	for _, c := range rc.Configs {
		all[c.Key] = setting{value: c.MaybeValue(), own: c.Source == kmsg.ConfigSourceDynamicTopicConfig, known: c.Value != nil}
		for _, syn := range c.Synonyms { // from the topic's own to Kafka's default
			if s := all[c.Key]; syn.Source != kmsg.ConfigSourceDynamicTopicConfig && syn.Value != nil {
				s.def, s.hasDef = *syn.Value, true
				all[c.Key] = s
				break
			}
		}
	}
	return all
}
