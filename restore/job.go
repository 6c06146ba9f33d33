package restore

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/storage"
)

// topicJob is one topic to restore.
type topicJob struct {
	source     storage.Topic
	name       string       // on the target
	id         kadm.TopicID // on the target, once it exists
	exists     bool
	created    bool // by this run
	rf         int16
	configs    topicConfigs
	partitions []*partitionJob
	lost       []unread // of what the manifest says of its partitions

	// Of a translated restore:
	job      string // its name, once the topic exists
	own      bool   // the job made the topic
	compacts bool   // the target may have removed records that others replace
	keyless  bool   // and the archive may have records without a key, which such a target refuses
}

// partitionJob is one partition to restore.
type partitionJob struct {
	topic  *topicJob
	state  storage.PartitionState
	filter copyops.Filter
	// end is where the target shall end: the cut, or what Until left of it.
	end int64
	// position is the target's true end when the plan was made.
	position int64
	// settled says that the target held everything when the plan was made, durable, and its log
	// started where it must.
	settled bool
	// damaged are the runs that can't be read.
	damaged []damagedRun
	total   totals // from the log start
	todo    totals // from position

	to translation // of a translated restore
}

// totals are sums over what is archived in a range of offsets.
type totals struct {
	records, bytes         int64
	holeRuns, holeOffsets  int64
	minTimestamp, maxStamp int64
	maxBatch               int64
}

func (j *partitionJob) start() int64 { return j.state.StartOffset }

// target names the partition on the target.
func (j *partitionJob) target() rawkafka.Partition {
	return rawkafka.Partition{Topic: j.topic.name, TopicID: j.topic.id, Partition: j.state.Partition.Partition}
}

// wrap gives an error its place.
func (j *partitionJob) wrap(offset int64, err error) error {
	return &PartitionError{Job: "restore", Topic: j.topic.name, Partition: j.state.Partition.Partition, Offset: offset, Err: err}
}

// conflict is a conflict at an offset of the partition.
func (j *partitionJob) conflict(offset int64, kind, format string, args ...any) Conflict {
	return Conflict{
		Topic: j.topic.name, Partition: j.state.Partition.Partition, Offset: offset,
		Kind: kind, Detail: fmt.Sprintf(format, args...),
	}
}

// topicConflict is a conflict of a whole topic.
func topicConflict(topic, kind, format string, args ...any) Conflict {
	return Conflict{Topic: topic, Partition: -1, Offset: -1, Kind: kind, Detail: fmt.Sprintf(format, args...)}
}

// clusterConflict is a conflict of no topic.
func clusterConflict(kind, format string, args ...any) Conflict {
	return topicConflict("", kind, format, args...)
}
