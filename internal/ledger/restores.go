package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// Restore is what a translated restore notes of one partition: durable before its first append, and
// again when it is done.
type Restore struct {
	Job           string `json:"job"`
	SourceCluster string `json:"source_cluster"`
	SourceAlias   string `json:"source_alias,omitempty"`
	SourceTopic   string `json:"source_topic"`
	SourceTopicID string `json:"source_topic_id"`
	TargetTopic   string `json:"target_topic"`
	TargetTopicID string `json:"target_topic_id"`
	Partition     int32  `json:"partition"`
	Snapshot      string `json:"snapshot"`
	// First is an offset of the target: no record of the job lies below it.
	First int64 `json:"first"`
	// Created says that the job made the topic.
	Created   bool      `json:"created,omitempty"`
	StartedAt time.Time `json:"started_at"`
	// DoneAt is set when all is on the target and the map is written; Records are then the job's in
	// this partition.
	DoneAt  *time.Time `json:"done_at,omitempty"`
	Records int64      `json:"records,omitempty"`
}

// RestorePrefix is what the keys of Restore entries begin with.
const RestorePrefix = "restore/"

// RestoreKey is the key of a Restore entry.
func RestoreKey(job, topic string, partition int32) string {
	return fmt.Sprintf("%s%s/%s/%d", RestorePrefix, job, topic, partition)
}

// chunk is a part of an encoded map.
type chunk struct {
	Chunks int    `json:"chunks"`
	Data   []byte `json:"data"`
}

// maxChunk bounds the bytes of a chunk, before base64.
const maxChunk = 375_000

// MapKey is the prefix of the keys of a map's chunks: those of one job in one partition of a target
// topic.
func MapKey(sourceCluster, topic string, partition int32, job string) string {
	return fmt.Sprintf("map/%s/%s/%d/%s/", sourceCluster, topic, partition, job)
}

// Chunks are the entries of an encoded map, to Put, by the prefix that MapKey makes.
func Chunks(prefix string, encoded []byte) map[string]any {
	n := max(1, (len(encoded)+maxChunk-1)/maxChunk)
	entries := make(map[string]any, n)
	for i := range n {
		data := encoded[i*maxChunk : min((i+1)*maxChunk, len(encoded))]
		entries[chunkKey(prefix, i)] = chunk{Chunks: n, Data: data}
	}
	return entries
}

func chunkKey(prefix string, i int) string { return fmt.Sprintf("%s%06d", prefix, i) }

// Map puts the chunks of an encoded map together. It returns false where none is there, and an
// [*EntryError] where some are missing.
func (l *Ledger) Map(prefix string) ([]byte, bool, error) {
	var first chunk
	if ok, err := l.Get(chunkKey(prefix, 0), &first); !ok || err != nil {
		return nil, false, err
	}
	all := [][]byte{first.Data}
	for i := 1; i < first.Chunks; i++ {
		var c chunk
		ok, err := l.Get(chunkKey(prefix, i), &c)
		if err != nil {
			return nil, false, err
		}
		if !ok || c.Chunks != first.Chunks {
			return nil, false, &EntryError{Key: chunkKey(prefix, i), Offset: -1, Err: errors.New("a part of the map is missing")}
		}
		all = append(all, c.Data)
	}
	return bytes.Join(all, nil), true, nil
}

// Restores are the notes of all translated restores, by key. Those that can't be read are skipped,
// and their errors joined.
func (l *Ledger) Restores() ([]Restore, error) {
	return notes(l, RestorePrefix, func(r Restore) string { return RestoreKey(r.Job, r.TargetTopic, r.Partition) })
}

// notes are the entries under a prefix whose keys say the same as they do.
func notes[T any](l *Ledger, prefix string, keyOf func(T) string) ([]T, error) {
	var all []T
	var errs []error
	for key, raw := range l.Each(prefix) {
		var n T
		if err := Decode(key, raw, &n); err != nil {
			errs = append(errs, err)
			continue
		}
		if key == keyOf(n) {
			all = append(all, n)
		}
	}
	return all, errors.Join(errs...)
}

// ExactRestore is what a restore that keeps offsets notes of one topic when it is done.
type ExactRestore struct {
	SourceCluster string `json:"source_cluster"`
	SourceAlias   string `json:"source_alias,omitempty"`
	SourceTopic   string `json:"source_topic"`
	SourceTopicID string `json:"source_topic_id"`
	TargetTopic   string `json:"target_topic"`
	TargetTopicID string `json:"target_topic_id"`
	Snapshot      string `json:"snapshot"`
	// Ends are, by partition, where what was restored ends: records from there on are of others.
	Ends   map[int32]int64 `json:"ends"`
	DoneAt time.Time       `json:"done_at"`
}

// exactPrefix is what the keys of ExactRestore entries begin with.
const exactPrefix = "exact/"

// ExactKey is the key of an ExactRestore entry: the latest of a source cluster's topic into one of
// the target.
func ExactKey(sourceCluster, sourceTopic, targetTopic string) string {
	return exactPrefix + sourceCluster + "/" + sourceTopic + "/" + targetTopic
}

// ExactRestores are the notes of all restores that kept offsets, by key. Those that can't be read
// are skipped, and their errors joined.
func (l *Ledger) ExactRestores() ([]ExactRestore, error) {
	return notes(l, exactPrefix, func(r ExactRestore) string { return ExactKey(r.SourceCluster, r.SourceTopic, r.TargetTopic) })
}
