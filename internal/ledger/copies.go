package ledger

import (
	"fmt"
	"time"
)

// Copy is the identity of an exact copy that a mirror keeps: whose log it is, and how far it was when this was written.
type Copy struct {
	Flow          string    `json:"flow"`
	SourceCluster string    `json:"source_cluster"`
	SourceTopic   string    `json:"source_topic"`
	SourceTopicID string    `json:"source_topic_id"` // as kadm prints it, as the next
	TargetTopic   string    `json:"target_topic"`
	TargetTopicID string    `json:"target_topic_id"`
	Partition     int32     `json:"partition"`
	Position      int64     `json:"position"`
	LeaderEpoch   int32     `json:"leader_epoch"` // the source's, of the last batch
	Digest        []byte    `json:"digest"`       // of the last batch
	At            time.Time `json:"at"`
}

// CopyPrefix is what the keys of Copy entries begin with.
const CopyPrefix = "copy/"

// CopyKey is the key of a Copy entry.
func CopyKey(sourceCluster, topic string, partition int32) string {
	return fmt.Sprintf("%s%s/%s/%d", CopyPrefix, sourceCluster, topic, partition)
}
