package mirrorprom

import (
	"cmp"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/mirror"
)

// Mirror is what is looked at: a *mirror.Mirror, or whatever else has its status.
type Mirror interface{ Status() mirror.Status }

// Backup is a follower's status: a *backup.Follower.
type Backup interface{ Status() backup.Status }

// Config is a collector's configuration.
type Config struct {
	// Backup adds the age of the last snapshot, under the names that `kdr backup --follow` gives
	// it. Default nil: none.
	Backup Backup
	// MaxPartitions is up to how many partitions in all there are series of each of them. Default
	// 1000; negative: never.
	MaxPartitions int
	// MaxTopics is up to how many topics there are series of each of them. Default 1000; negative:
	// never.
	MaxTopics int
}

// Collector is a prometheus.Collector of one mirror. It may be used concurrently; several of them
// fit in one registry as long as their mirrors have different names.
type Collector struct {
	mirror Mirror
	cfg    Config
	now    func() time.Time

	flow      []family[*mirror.Status]
	topic     []family[*mirror.TopicStatus]
	partition []family[*mirror.PartitionStatus]
	backup    []family[*backup.Status]

	info, partitions, stopped, topicStates, states, events, lastEvent, topicSeries, partitionSeries *prometheus.Desc

	mu   sync.Mutex
	seen map[mirror.EventKind]seen
}

// New is a collector of m.
func New(m Mirror, cfg Config) *Collector {
	cfg.MaxPartitions = cmp.Or(cfg.MaxPartitions, 1000)
	cfg.MaxTopics = cmp.Or(cfg.MaxTopics, 1000)
	c := &Collector{
		mirror: m, cfg: cfg, now: time.Now, seen: make(map[mirror.EventKind]seen),
		flow: flowFamilies(), topic: topicFamilies(), partition: partitionFamilies(), backup: backupFamilies(),

		info:        desc("info", "Always 1; its labels are the IDs of the two clusters, empty until they are known.", "source_cluster", "target_cluster"),
		partitions:  desc("partitions", "Partitions that are mirrored, by state.", "state"),
		stopped:     desc("stopped_partitions", "Partitions that an event has stopped, by the event's kind.", "kind"),
		topicStates: desc("topic_partitions", "Partitions of a topic, by state.", "topic", "state"),
		states:      desc("partition_state", "1 for the state that a partition is in, 0 for the others.", "topic", "partition", "state"),
		events:      desc("events_total", "Events since the start, by kind.", "kind"),
		lastEvent:   desc("last_event_timestamp_seconds", "When the last event of a kind was, as Unix time.", "kind"),

		topicSeries:     desc("topic_series", "1 where there are series per topic, 0 where there are too many topics."),
		partitionSeries: desc("partition_series", "1 where there are series per partition, 0 where there are too many partitions."),
	}
	return c
}

// Describe sends all descriptors.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	describe(ch, c.flow)
	describe(ch, c.topic)
	describe(ch, c.partition)
	if c.cfg.Backup != nil {
		describe(ch, c.backup)
	}
	for _, d := range []*prometheus.Desc{c.info, c.partitions, c.stopped, c.topicStates, c.states, c.events, c.lastEvent, c.topicSeries, c.partitionSeries} {
		ch <- d
	}
}

// Collect reads the status once.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	s := c.mirror.Status()
	perTopic, perPartition := len(s.Topics) <= c.cfg.MaxTopics, s.Partitions <= c.cfg.MaxPartitions
	send(ch, c.info, 1, s.Flow, s.SourceCluster, s.TargetCluster)
	collect(ch, c.flow, &s, s.Flow)
	for _, st := range states() {
		send(ch, c.partitions, float64(inState(&s.Totals, st)), s.Flow, string(st))
	}
	send(ch, c.topicSeries, truth(perTopic), s.Flow)
	send(ch, c.partitionSeries, truth(perPartition), s.Flow)
	c.collectEvents(ch, &s)
	for i := range s.Topics {
		t := &s.Topics[i]
		if perTopic {
			c.collectTopic(ch, s.Flow, t)
		}
		if perPartition {
			c.collectPartitions(ch, s.Flow, t)
		}
	}
	if c.cfg.Backup != nil {
		b := c.cfg.Backup.Status()
		collect(ch, c.backup, &b)
	}
}

func (c *Collector) collectTopic(ch chan<- prometheus.Metric, flow string, t *mirror.TopicStatus) {
	collect(ch, c.topic, t, flow, t.Source)
	for _, st := range states() {
		send(ch, c.topicStates, float64(inState(&t.Totals, st)), flow, t.Source, string(st))
	}
}

func (c *Collector) collectPartitions(ch chan<- prometheus.Metric, flow string, t *mirror.TopicStatus) {
	for i := range t.Detail {
		p := &t.Detail[i]
		number := strconv.Itoa(int(p.Partition))
		collect(ch, c.partition, p, flow, t.Source, number)
		for _, st := range states() {
			send(ch, c.states, truth(p.State == st), flow, t.Source, number, string(st))
		}
	}
}

func states() []mirror.State {
	return []mirror.State{mirror.Opening, mirror.Copying, mirror.Stopped, mirror.Done}
}

func inState(t *mirror.Totals, s mirror.State) int {
	switch s {
	case mirror.Opening:
		return t.Opening
	case mirror.Copying:
		return t.Copying
	case mirror.Stopped:
		return t.Stopped
	}
	return t.Done
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
