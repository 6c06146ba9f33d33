package restore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/offsets"
)

// Offsets says which offsets records get on the target.
type Offsets int

const (
	// Exact gives records the source's offsets. The target's topic holds nothing else.
	Exact Offsets = iota
	// Translated appends records behind what the target's topic holds, whoever else writes to it
	// meanwhile, and maps the offsets.
	Translated
)

// String is exact or translated.
func (o Offsets) String() string {
	switch o {
	case Exact:
		return "exact"
	case Translated:
		return "translated"
	}
	return fmt.Sprintf("Offsets(%d)", int(o))
}

// ErrDoubled says that the target's log holds records of a translated restore twice; nothing more
// was written to the partition.
var ErrDoubled = exactcopy.ErrDoubled

// translation is what a translated restore knows of one partition.
type translation struct {
	note  *ledger.Restore // as found in the ledger, or written to it
	done  bool            // complete, with its map written
	m     *offsets.Map    // as far as it is known
	found int64           // records of the job that the plan found placed, as the next one's ordinal
}

// jobName names the job that appends a topic's records to a topic of the target. It is a digest of
// both incarnations, the snapshot and Until; that there is an Edit counts, and not what it does.
func (j *job) jobName(t *topicJob) string {
	var until int64
	if !j.cfg.Until.IsZero() {
		until = j.cfg.Until.UnixMilli() + 1
	}
	h := sha256.New()
	fmt.Fprintf(h, "kafkadr translated restore\x00%s\x00%s\x00%x\x00%x\x00%d\x00%t",
		j.info.ClusterID, j.info.ID, t.source.ID[:], t.id[:], until, j.cfg.Edit != nil)
	return hex.EncodeToString(h.Sum(nil)[:12])
}

// id says what the partition's map is of.
func (j *partitionJob) id(sourceCluster string) offsets.ID {
	return offsets.ID{
		SourceCluster: sourceCluster, Topic: j.topic.source.Name, SourceTopicID: j.topic.source.ID, Partition: j.state.Partition.Partition,
		TargetTopic: j.topic.name, TargetTopicID: j.topic.id,
	}
}

// noteKey is the key of the partition's note in the ledger.
func (j *partitionJob) noteKey() string {
	return ledger.RestoreKey(j.topic.job, j.topic.name, j.state.Partition.Partition)
}

// mapKey is the prefix of its map's chunks.
func (j *partitionJob) mapKey(sourceCluster string) string {
	return ledger.MapKey(sourceCluster, j.topic.name, j.state.Partition.Partition, j.topic.job)
}

// newNote is the note of a partition whose job hasn't begun.
func (j *job) newNote(pj *partitionJob, first int64) *ledger.Restore {
	t := pj.topic
	return &ledger.Restore{
		Job: t.job, SourceCluster: j.info.ClusterID, SourceAlias: j.cfg.SourceAlias,
		SourceTopic: t.source.Name, SourceTopicID: t.source.ID.String(), TargetTopic: t.name, TargetTopicID: t.id.String(),
		Partition: pj.state.Partition.Partition, Snapshot: j.info.ID, First: first, Created: t.own, StartedAt: time.Now().UTC(),
	}
}

// stored loads the map of a partition that is done.
func (j *partitionJob) stored(l *ledger.Ledger, sourceCluster string) (*offsets.Map, error) {
	raw, ok, err := l.Map(j.mapKey(sourceCluster))
	if !ok || err != nil {
		return nil, err
	}
	m := new(offsets.Map)
	if err := m.UnmarshalBinary(raw); err != nil {
		return nil, err
	}
	if err := m.For(j.id(sourceCluster)); err != nil {
		return nil, err
	}
	return m, nil
}

// compacts says whether a cleanup.policy makes records go that others replace.
func compacts(policy string) bool { return strings.Contains(policy, "compact") }
