package backup

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// part is a partition of an incarnation that is backed up.
type part struct {
	source.Following
	rawkafka.Partition
	key   segment.Partition
	topic *topic
	// now is what was appended, durable what is in closed segments, and
	// committed what a manifest names.
	now, durable, committed position
	// cut is where reading ends; stable is the last stable offset that set it,
	// -1 where the end is open.
	cut, stable int64
	// known says that now is what the archive or the source says.
	known bool
	// begun is where this job began.
	begun int64
	seen  bool
	// What the source said last.
	logStart, highWatermark, lastStable int64
	// fault says why it can't be read now; committedFault what the manifest says.
	fault          error
	committedFault string
	// ended are histories that end with the next commit.
	ended []storage.PartitionState
	// epoch is the source's leader epoch under which the position was found
	// right; -1: any.
	epoch int32
}

// topic is an incarnation as the next full snapshot has it.
type topic struct {
	storage.Topic
	policy  string // cleanup.policy
	log     rawkafka.Log
	changed bool // since the last commit
}

// position is how far a partition's history has come. It is a value: holes
// are never written in place.
type position struct {
	history      int32
	start, first int64
	offset       int64 // the next to append
	lastEnd      int64 // of the last batch
	epoch        int32 // of the last batch; -1: none
	holes        []storage.Hole
	truncated    string
}

// maxHoles is how many holes a history keeps apart; the nearest of a kind are
// joined beyond.
const maxHoles = 256

func newPosition(history int32, start int64) position {
	return position{history: history, start: start, first: start, offset: start, epoch: -1}
}

func positionOf(s storage.PartitionState) position {
	p := position{
		history: s.History, start: s.StartOffset, first: s.FirstOffset, offset: s.EndOffset, lastEnd: s.EndOffset,
		epoch: s.LeaderEpoch, holes: s.Holes, truncated: s.Truncated,
	}
	for _, h := range slices.Backward(s.Holes) {
		if h.EndOffset < p.lastEnd {
			break
		}
		p.lastEnd = min(p.lastEnd, h.BaseOffset)
	}
	if s.Records == 0 && s.Bytes == 0 {
		p.epoch = -1
	}
	return p
}

func (p *position) state(key segment.Partition, fault string) storage.PartitionState {
	return storage.PartitionState{
		Partition: key, History: p.history, StartOffset: min(p.start, p.offset), EndOffset: p.offset, FirstOffset: p.first,
		LeaderEpoch: p.epoch, Holes: p.holes, Fault: fault, Truncated: p.truncated,
	}
}

func (p *position) equal(o *position) bool {
	return p.history == o.history && p.start == o.start && p.first == o.first && p.offset == o.offset &&
		p.epoch == o.epoch && len(p.holes) == len(o.holes) && p.truncated == o.truncated
}

// hole moves the position over offsets that no batch has.
func (p *position) hole(h storage.Hole) {
	p.offset = max(p.offset, h.EndOffset)
	if n := len(p.holes); n > 0 && p.holes[n-1].EndOffset == h.BaseOffset && p.holes[n-1].Reason == h.Reason {
		joined := p.holes[n-1]
		joined.EndOffset = h.EndOffset
		p.holes = append(slices.Clone(p.holes[:n-1]), joined)
		return
	}
	p.holes = append(slices.Clip(p.holes), h)
	if len(p.holes) > maxHoles {
		p.holes = joinNearest(p.holes)
	}
}

// joinNearest joins the two neighbours of a kind that lie nearest; what lies
// between them is in batches.
func joinNearest(holes []storage.Hole) []storage.Hole {
	at, least := -1, int64(math.MaxInt64)
	for i := 1; i < len(holes); i++ {
		if d := holes[i].BaseOffset - holes[i-1].EndOffset; holes[i].Reason == holes[i-1].Reason && d < least {
			at, least = i, d
		}
	}
	if at < 0 {
		return holes
	}
	joined := holes[at-1]
	joined.EndOffset = holes[at].EndOffset
	out := append(slices.Clone(holes[:at-1]), joined)
	return append(out, holes[at+1:]...)
}

// gap explains offsets between batches by the topic's policy now.
func (t *topic) gap(base, end int64) storage.Hole {
	reason := storage.Missing
	if strings.Contains(t.policy, "compact") {
		reason = storage.Compacted
	}
	return storage.Hole{
		Range:  storage.Range{BaseOffset: base, EndOffset: end},
		Reason: reason, Evidence: "no batch has the offsets; cleanup.policy=" + t.policy,
	}
}

func lostToRetention(base, end, logStart int64, at time.Time) storage.Hole {
	return storage.Hole{
		Range:  storage.Range{BaseOffset: base, EndOffset: end},
		Reason: storage.LogStartMoved, Evidence: fmt.Sprintf("log start offset %d at %s", logStart, at.UTC().Format(time.RFC3339)),
	}
}

func policyOf(t storage.Topic) string {
	if policy := configOf(t, "cleanup.policy"); policy != "" {
		return policy
	}
	return "unknown"
}

func configOf(t storage.Topic, key string) string {
	for _, c := range t.Configs {
		if c.Key == key && c.Value != nil {
			return *c.Value
		}
	}
	return ""
}

// lag is how many offsets below the last stable offset aren't committed.
func (p *part) lag() int64 {
	if p.lastStable < 0 {
		return 0
	}
	return max(0, min(p.lastStable, p.cut)-p.committed.offset)
}

func (p *part) faultText() string {
	if p.fault == nil {
		return ""
	}
	text := p.fault.Error()
	return text[:min(len(text), 1000)]
}
