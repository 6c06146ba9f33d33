package backup

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/internal/topics"
	"github.com/kafkadr/kafkadr/storage"
)

// ExportOptions are the settings of an Export. The zero value takes all topics
// that were live when the snapshot was taken, but internal ones.
type ExportOptions struct {
	// Topics are names and regular expressions, as [Config]'s; a name that the
	// snapshot doesn't have is an *[UnknownTopicError].
	Topics []string
	// Exclude are names and regular expressions of topics to leave out.
	Exclude []string
	// RollBytes is the length that no file exceeds, but one of a single batch
	// (Kafka's segment.bytes). Default and maximum 1 GiB.
	RollBytes int64
	// OnProgress is called after each file.
	OnProgress func(ExportedFile)
}

// ExportedFile is a Kafka log file that Export wrote.
type ExportedFile struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Path is relative to the directory, with slashes: TOPIC-PARTITION/BASEOFFSET.log.
	Path string `json:"path"`
	// BaseOffset is the first batch's, EndOffset one past the last batch's last offset.
	BaseOffset int64 `json:"base_offset"`
	EndOffset  int64 `json:"end_offset"`
	// Batches, Records and Bytes count what the file holds, control batches included.
	Batches int64 `json:"batches"`
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// Export writes the snapshot's live topics into dir as plain Kafka log files,
// one directory a partition: batch for batch the bytes that the source's
// broker had, control batches and aborted ones included, leader epochs too.
// kafka.tools.DumpLogSegments reads them. They must not be put into a broker
// as they are: its leader epochs would not fit.
//
// Directories that exist already are an error, and so are topic names that
// Kafka doesn't allow, which only a forged archive holds. A file gets its name
// when it is complete and synced.
func Export(ctx context.Context, s *storage.Snapshot, dir string, o ExportOptions) ([]ExportedFile, error) {
	exported, err := exportedTopics(ctx, s, o)
	if err != nil {
		return nil, fmt.Errorf("backup: export: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("backup: export: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("backup: export: %w", err)
	}
	defer func() { _ = root.Close() }()
	if o.RollBytes <= 0 || o.RollBytes > 1<<30 {
		o.RollBytes = 1 << 30
	}
	e := &exporter{snapshot: s, root: root, options: o}
	for _, t := range exported {
		for p, err := range s.Partitions(ctx, t.ID) {
			if err == nil {
				err = e.partition(ctx, t, p)
			}
			if err != nil {
				return e.files, fmt.Errorf("backup: export: %s/%d: %w", t.Name, p.Partition.Partition, err)
			}
		}
	}
	return e.files, nil
}

// exportedTopics are the live topics that o selects, by name.
func exportedTopics(ctx context.Context, s *storage.Snapshot, o ExportOptions) ([]storage.Topic, error) {
	sel, err := topics.New(o.Topics, o.Exclude)
	if err != nil {
		return nil, &ConfigError{Job: "backup", Errs: []error{err}}
	}
	var live []storage.Topic
	missing := sel.Names()
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return nil, err
		}
		if !t.Deleted.IsZero() {
			continue
		}
		missing = slices.DeleteFunc(missing, func(x string) bool { return x == t.Name })
		if !sel.Takes(t.Name, t.Internal) {
			continue
		}
		if !topics.IsName(t.Name) {
			return nil, fmt.Errorf("the archive has a topic named %q, which Kafka doesn't allow", t.Name)
		}
		live = append(live, t)
	}
	if len(missing) > 0 {
		return nil, &UnknownTopicError{Topic: missing[0]}
	}
	if len(live) == 0 && len(o.Topics) > 0 {
		return nil, &UnknownTopicError{Topic: strings.Join(o.Topics, " ")}
	}
	slices.SortFunc(live, func(x, y storage.Topic) int { return strings.Compare(x.Name, y.Name) })
	return live, nil
}
