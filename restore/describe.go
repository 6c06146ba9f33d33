package restore

import (
	"maps"
	"math"
	"time"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/millis"
)

// Rates of the estimate, measured on one partition of a local Kafka.
const (
	markersPerSecond = 76_000
	txnHolesPerSec   = 100
	fillerPerSecond  = 5_000_000
	bytesPerSecond   = 100 << 20
	// A hole waits for the data before it, that it is replicated, the markers, where the log ends
	// then, and that it is replicated again.
	holeRoundTrips = 5
)

// describe writes into the plan what was found.
func (p *planner) describe(now time.Time) {
	var holes, all time.Duration
	var longest time.Duration
	for _, t := range p.topics {
		tp := TopicPlan{
			Topic: t.name, Source: t.source.Name, Create: !t.exists, ReplicationFactor: t.rf,
			Configs: maps.Clone(t.configs.final), Partitions: []PartitionPlan{},
		}
		var why string
		if tp.Held, why = t.configs.held(t.expiry(), now); why != "" {
			p.warn("%s: held until Release: %s", t.name, why)
		}
		for _, w := range t.configs.warnings {
			p.warn("%s: %s", t.name, w)
		}
		for _, j := range t.partitions {
			pp, holeTime := p.partition(j)
			if holeTime > p.cfg.MaxHoleTime {
				p.refuse(j.conflict(j.position, "hole_time", "%d hole runs and %d filler offsets would take about %s, more than %s",
					pp.HoleRuns, pp.Filler, holeTime.Round(time.Second), p.cfg.MaxHoleTime))
			}
			took := time.Duration(pp.Time)
			holes, all, longest = holes+holeTime, all+took, max(longest, took)
			tp.Partitions = append(tp.Partitions, pp)
			p.plan.Records += pp.Records
			p.plan.Bytes += pp.Bytes
		}
		p.plan.Topics = append(p.plan.Topics, tp)
	}
	at := time.Duration(p.cfg.concurrency())
	if holes/at > p.cfg.MaxHoleTime {
		p.refuse(clusterConflict("hole_time", "holes and filler would take about %s in all, more than %s", (holes / at).Round(time.Second), p.cfg.MaxHoleTime))
	}
	longest = max(longest, all/at)
	if r := p.cfg.MaxBytesPerSecond; r > 0 {
		longest = max(longest, seconds(float64(p.plan.Bytes)/float64(r)))
	}
	p.plan.EstimatedTime = millis.Duration(longest)
	p.how.caveats(p)
}

// partition describes what is left to do of one partition. holes is the part of its time that they
// and filler take.
func (p *planner) partition(j *partitionJob) (pp PartitionPlan, holes time.Duration) {
	pp = PartitionPlan{
		Partition: j.state.Partition.Partition, StartOffset: j.start(), EndOffset: j.end, Position: j.position,
		Filler:   max(0, j.start()-j.position),
		HoleRuns: j.todo.holeRuns, HoleOffsets: j.todo.holeOffsets, Records: j.todo.records, Bytes: j.todo.bytes,
	}
	if !p.how.left(j, &pp) {
		return pp, 0
	}
	pp.Method = p.cfg.Offsets.String()
	rtt := time.Duration(p.plan.RoundTrip)
	rate := float64(markersPerSecond)
	if p.plan.HoleMethod == string(exactcopy.Transactions) {
		rate = txnHolesPerSec
	}
	holes = satAdd(time.Duration(min(pp.HoleRuns, math.MaxInt64/8/int64(rtt)))*holeRoundTrips*rtt, seconds(float64(pp.HoleOffsets)/rate))
	holes = satAdd(holes, seconds(float64(pp.Filler)/fillerPerSecond))
	pp.Time = millis.Duration(satAdd(holes, seconds(float64(pp.Bytes)/bytesPerSecond)))
	return pp, holes
}

// seconds is a duration of s seconds, as long as can be.
func seconds(s float64) time.Duration {
	if s > math.MaxInt64/4/float64(time.Second) {
		return math.MaxInt64 / 4
	}
	return time.Duration(s * float64(time.Second))
}

func satAdd(a, b time.Duration) time.Duration {
	if a > math.MaxInt64/4 || b > math.MaxInt64/4 {
		return math.MaxInt64 / 4
	}
	return a + b
}

// expiry is what the topic's policy would look at.
func (t *topicJob) expiry() expiry {
	e := expiry{oldest: math.MaxInt64}
	for _, j := range t.partitions {
		e.records += j.total.records
		e.oldest = min(e.oldest, j.total.minTimestamp)
		e.partition = max(e.partition, j.total.bytes)
	}
	return e
}

// caveats are warnings of what an exact copy through the API can't keep.
func (p *planner) caveats() {
	var holey, stamped, single, ahead int
	limit := time.Now().Add(time.Hour).UnixMilli()
	for i, t := range p.topics {
		runs := int64(0)
		for _, pp := range p.plan.Topics[i].Partitions {
			runs += pp.HoleRuns
		}
		holey += count(runs > 0)
		stamped += count(t.configs.final[cfgStampType] == "LogAppendTime")
		minISR, known := t.configs.number(cfgMinInSync)
		single += count(t.rf > 1 && (!known || minISR < 2))
		ahead += count(t.newest() > limit)
	}
	for _, c := range []struct {
		topics int
		text   string
	}{
		{holey, "have holes: markers carry the target's clock, so a search by time can answer an earlier offset than on the source, and retention by time comes later, never earlier"},
		{stamped, "have LogAppendTime: restored records keep the times that consumers saw, but as CreateTime"},
		{single, "have more than one replica and min.insync.replicas 1 (or the target's default): an unclean leader change can lose what was restored"},
		{ahead, "have timestamps more than an hour ahead of the clock: their segments expire later"},
	} {
		if c.topics > 0 {
			p.warn("%d topics %s", c.topics, c.text)
		}
	}
	p.general()
	if p.plan.HoleMethod == string(exactcopy.Transactions) {
		p.warn("the target denies ClusterAction and Alter on the cluster, or doesn't know WriteTxnMarkers: holes are made by transactions, which is slower, and weaker if this process dies in a hole")
	}
}

// general are those of every method.
func (p *planner) general() {
	if !p.cfg.Until.IsZero() {
		p.warn("until cuts by record timestamps: a transaction's records can be kept in part")
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
