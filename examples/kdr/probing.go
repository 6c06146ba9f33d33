package main

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/probe"
)

// probeSpec says in a clusters file when a cluster is down. The zero value is the library's
// defaults.
type probeSpec struct {
	Probes  []string     `json:"probes"`
	Need    string       `json:"need"`
	Canary  *canarySpec  `json:"canary"`
	Offline *offlineSpec `json:"offline"`

	Interval   duration `json:"interval"`
	Timeout    duration `json:"timeout"`
	SlowerThan duration `json:"slower_than"`
	Failures   *int     `json:"failures"`
	Of         *int     `json:"of"`
	Successes  *int     `json:"successes"`
	Backoff    duration `json:"backoff"`
	MaxBackoff duration `json:"max_backoff"`
	AlsoDown   []string `json:"also_down"`
	Ignore     []string `json:"ignore"`
}

// canarySpec is round_trip's.
type canarySpec struct {
	Topic    string `json:"topic"`
	Create   bool   `json:"create"`
	Replicas *int16 `json:"replicas"`
}

// offlineSpec is offline_partitions'.
type offlineSpec struct {
	Topics []string `json:"topics"`
	Share  *float64 `json:"share"`
}

// The names of probes.
const (
	probeMetadata  = "metadata"
	probeTCP       = "tcp"
	probeRoundTrip = "round_trip"
	probeOffline   = "offline_partitions"
)

var faultKinds = []probe.Kind{
	probe.Unreachable, probe.Timeout, probe.Offline, probe.Canary, probe.Slow, probe.Auth, probe.Denied, probe.WrongCluster, probe.Config,
}

var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// check finds all that is wrong.
func (p *probeSpec) check(a *app) {
	for i, name := range p.Probes {
		switch {
		case !slices.Contains([]string{probeMetadata, probeTCP, probeRoundTrip, probeOffline}, name):
			a.fault("probe.probes[%d]: want %s, %s, %s or %s, got %q", i, probeMetadata, probeTCP, probeRoundTrip, probeOffline, name)
		case slices.Contains(p.Probes[:i], name):
			a.fault("probe.probes[%d]: %s is there twice", i, name)
		}
	}
	if !slices.Contains([]string{"", "all", "any"}, p.Need) {
		a.fault("probe.need: want all or any, got %q", p.Need)
	}
	p.checkCanary(a)
	p.checkOffline(a)
	p.checkRule(a)
}

func (p *probeSpec) checkCanary(a *app) {
	c := p.Canary
	if c == nil {
		return
	}
	if !p.has(probeRoundTrip) {
		a.fault("probe.canary means nothing without %s", probeRoundTrip)
	}
	if c.Topic != "" && !topicName.MatchString(c.Topic) {
		a.fault("probe.canary.topic: %q is no name of a topic", c.Topic)
	}
	if c.Replicas != nil && *c.Replicas < 1 {
		a.fault("probe.canary.replicas: want 1 or more")
	}
	if c.Replicas != nil && !c.Create {
		a.fault("probe.canary.replicas means nothing without create")
	}
}

func (p *probeSpec) checkOffline(a *app) {
	o := p.Offline
	if o == nil {
		return
	}
	if !p.has(probeOffline) {
		a.fault("probe.offline means nothing without %s", probeOffline)
	}
	for i, topic := range o.Topics {
		if !topicName.MatchString(topic) {
			a.fault("probe.offline.topics[%d]: %q is no name of a topic", i, topic)
		}
	}
	if s := o.Share; s != nil && (*s <= 0 || *s >= 1) {
		a.fault("probe.offline.share: want more than 0 and less than 1")
	}
}

// checkRule leaves to the library what depends on each other.
func (p *probeSpec) checkRule(a *app) {
	own := &app{}
	for _, d := range []struct {
		name  string
		value duration
	}{{"interval", p.Interval}, {"timeout", p.Timeout}, {"slower_than", p.SlowerThan}, {"backoff", p.Backoff}, {"max_backoff", p.MaxBackoff}} {
		if d.value < 0 {
			own.fault("probe.%s: want a duration, such as 500ms", d.name)
		}
	}
	for _, n := range []struct {
		name  string
		value *int
	}{{"failures", p.Failures}, {"of", p.Of}, {"successes", p.Successes}} {
		if n.value != nil && *n.value < 1 {
			own.fault("probe.%s: want 1 or more", n.name)
		}
	}
	for _, kinds := range []struct {
		name   string
		values []string
	}{{"also_down", p.AlsoDown}, {"ignore", p.Ignore}} {
		for i, k := range kinds.values {
			if !slices.Contains(faultKinds, probe.Kind(k)) {
				own.fault("probe.%s[%d]: want a kind of fault (%s), got %q", kinds.name, i, joined(faultKinds), k)
			}
		}
	}
	for _, k := range p.AlsoDown {
		if slices.Contains(p.Ignore, k) {
			own.fault("probe: %s is in also_down and in ignore", k)
		}
	}
	if err := p.rule().Validate(); err != nil && len(own.faults) == 0 {
		for line := range strings.SplitSeq(err.Error(), "\n") {
			own.fault("probe.%s", ruleNames.Replace(strings.TrimPrefix(line, "probe: rule: ")))
		}
	}
	a.faults = append(a.faults, own.faults...)
}

// ruleNames are the file's names for those of a rule's fields.
var ruleNames = strings.NewReplacer("Failures", "failures", "Of", "of", "SlowerThan", "slower_than", "Timeout", "timeout", "MaxBackoff", "max_backoff", "Backoff", "backoff")

func joined(kinds []probe.Kind) string {
	var texts []string
	for _, k := range kinds {
		texts = append(texts, string(k))
	}
	return strings.Join(texts, ", ")
}

func (p *probeSpec) has(name string) bool { return slices.Contains(p.Probes, name) }

// rule says when a cluster is down, and when it is back.
func (p *probeSpec) rule() probe.Rule {
	count := func(n *int) int {
		if n == nil {
			return 0
		}
		return *n
	}
	kinds := func(texts []string) (all []probe.Kind) {
		for _, t := range texts {
			all = append(all, probe.Kind(t))
		}
		return all
	}
	return probe.Rule{
		Failures: count(p.Failures), Of: count(p.Of), Successes: count(p.Successes),
		Interval: time.Duration(p.Interval), Timeout: time.Duration(p.Timeout), SlowerThan: time.Duration(p.SlowerThan),
		Backoff: time.Duration(p.Backoff), MaxBackoff: time.Duration(p.MaxBackoff), AlsoDown: kinds(p.AlsoDown), Ignore: kinds(p.Ignore),
	}
}

// canaryTopic is what round trips are written to, or empty.
func (p *probeSpec) canaryTopic() string {
	switch {
	case !p.has(probeRoundTrip):
		return ""
	case p.Canary != nil && p.Canary.Topic != "":
		return p.Canary.Topic
	}
	return "kafkadr-canary"
}

// probe looks at clusters, whose IDs are those that have to be there. Without create it makes no
// topic.
func (p *probeSpec) probe(clusters []failover.Cluster, create bool) probe.Probe {
	ids := map[string]string{}
	for _, c := range clusters {
		ids[c.Name] = c.ID
	}
	var all []probe.Probe
	for _, name := range p.names() {
		switch name {
		case probeMetadata:
			all = append(all, func(ctx context.Context, t probe.Target) error {
				return probe.Metadata(probe.MetadataConfig{ClusterID: ids[t.Name]})(ctx, t)
			})
		case probeTCP:
			all = append(all, probe.TCP())
		case probeRoundTrip:
			all = append(all, probe.RoundTrip(p.roundTrip(create)))
		case probeOffline:
			all = append(all, probe.OfflinePartitions(p.offline()))
		}
	}
	switch {
	case len(all) == 1:
		return all[0]
	case p.Need == "any":
		return probe.AnyOf(all...)
	}
	return probe.AllOf(all...)
}

// names are the probes; the default is that a broker answers.
func (p *probeSpec) names() []string {
	if len(p.Probes) == 0 {
		return []string{probeMetadata}
	}
	return p.Probes
}

func (p *probeSpec) roundTrip(create bool) probe.RoundTripConfig {
	cfg := probe.RoundTripConfig{Topic: p.canaryTopic()}
	if c := p.Canary; c != nil {
		cfg.Create = c.Create && create
		if c.Replicas != nil {
			cfg.Replicas = *c.Replicas
		}
	}
	return cfg
}

func (p *probeSpec) offline() (cfg probe.OfflineConfig) {
	if o := p.Offline; o != nil {
		cfg.Topics = o.Topics
		if o.Share != nil {
			cfg.Share = *o.Share
		}
	}
	return cfg
}

// probeStatus is what one look at a cluster saw.
type probeStatus struct {
	// OK says that it counts as a success, Failed as a failure; neither, that it can't tell.
	OK     bool       `json:"ok"`
	Failed bool       `json:"failed"`
	Millis int64      `json:"took_ms"`
	Kind   probe.Kind `json:"kind,omitempty"`
	Error  string     `json:"error,omitempty"`
}

// String is the look for people.
func (s *probeStatus) String() string {
	switch took := time.Duration(s.Millis) * time.Millisecond; {
	case s.OK:
		return "healthy, in " + took.String()
	case s.Failed:
		return "a failure, in " + took.String() + ": " + s.Error
	}
	return "can't tell: " + s.Error
}

// once looks at a cluster as a controller does, but for making a topic.
func (p *probeSpec) once(ctx context.Context, clusters []failover.Cluster, c failover.Cluster) *probeStatus {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	look := p.probe(clusters, false)
	var ways []probe.Probe
	for _, opts := range append([][]kgo.Opt{c.Opts}, c.Paths...) {
		ways = append(ways, func(ctx context.Context, t probe.Target) error {
			return look(ctx, probe.Target{Name: t.Name, Opts: opts})
		})
	}
	var got *probeStatus
	m, err := probe.NewMonitor(probe.AnyOf(ways...), probe.Target{Name: c.Name}, p.rule(), probe.Hooks{OnResult: func(r probe.Result) {
		got = &probeStatus{OK: r.OK, Failed: r.Failed, Millis: r.Took.Milliseconds(), Kind: r.Kind, Error: oneLine(r.Error)}
		cancel()
	}})
	if err == nil {
		err = m.Run(ctx)
	}
	if got == nil {
		got = &probeStatus{Error: oneLine(err.Error())}
	}
	return got
}
