package backup

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/kafkadr/kafkadr/storage"
)

// ExportOptions are the settings of an Export. The zero value takes all topics
// that were live when the snapshot was taken, but internal ones.
type ExportOptions struct {
	// Topics are regular expressions, anchored; a literal name that the
	// snapshot doesn't have is an *[UnknownTopicError].
	Topics []string
	// Exclude are regular expressions, anchored, of topics to leave out.
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
	topics, err := exportedTopics(ctx, s, o)
	if err != nil {
		return nil, fmt.Errorf("backup: export: %w", err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
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
	for _, t := range topics {
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
	take, err := anchored(o.Topics)
	if err != nil {
		return nil, err
	}
	leave, err := anchored(o.Exclude)
	if err != nil {
		return nil, err
	}
	var topics []storage.Topic
	missing := slices.DeleteFunc(slices.Clone(o.Topics), func(x string) bool { return !legalTopic(x) })
	for t, err := range s.Topics(ctx) {
		if err != nil {
			return nil, err
		}
		if !t.Deleted.IsZero() {
			continue
		}
		missing = slices.DeleteFunc(missing, func(x string) bool { return x == t.Name })
		if len(take) == 0 && t.Internal || len(take) > 0 && !matchesAny(take, t.Name) || matchesAny(leave, t.Name) {
			continue
		}
		if !legalTopic(t.Name) {
			return nil, fmt.Errorf("the archive has a topic named %q, which Kafka doesn't allow", t.Name)
		}
		topics = append(topics, t)
	}
	if len(missing) > 0 {
		return nil, &UnknownTopicError{Topic: missing[0]}
	}
	if len(topics) == 0 && len(o.Topics) > 0 {
		return nil, &UnknownTopicError{Topic: strings.Join(o.Topics, " ")}
	}
	slices.SortFunc(topics, func(x, y storage.Topic) int { return strings.Compare(x.Name, y.Name) })
	return topics, nil
}

func anchored(texts []string) ([]*regexp.Regexp, error) {
	var all []*regexp.Regexp
	for _, text := range texts {
		re, err := regexp.Compile("^(?:" + text + ")$")
		if err != nil {
			return nil, err
		}
		all = append(all, re)
	}
	return all, nil
}

func matchesAny(all []*regexp.Regexp, name string) bool {
	return slices.ContainsFunc(all, func(re *regexp.Regexp) bool { return re.MatchString(name) })
}

// legalTopic is Kafka's rule for topic names (org.apache.kafka.common.internals.Topic).
func legalTopic(name string) bool {
	const legal = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return name != "" && name != "." && name != ".." && len(name) <= 249 && strings.Trim(name, legal) == ""
}
