package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

func newCat(a *app) *cobra.Command {
	var store storeFlags
	var id, cluster string
	var partition, limit int64 = -1, 0
	var q restore.Query
	cmd := &cobra.Command{
		Use:   "cat --store URL TOPIC",
		Short: "Print the records of a topic from an archive, with no cluster",
		Long: `Print the records of a topic from an archive, with no cluster: one JSON
document a line, partition by partition in offset order. Keys, values and
header values that aren't UTF-8 are base64, and then a field ending in
_encoding says so.`,
		RunE: a.run(1, func(args []string) {
			store.check(a)
			if q.Topic = first(args); q.Topic == "" {
				a.fault("TOPIC is required")
			}
			if partition >= 0 {
				q.Partitions = []int32{int32(partition)}
			}
		}, func(ctx context.Context) error {
			arch, done, err := store.open(ctx, a, reading, storage.Hooks{})
			if err != nil {
				return err
			}
			defer done()
			s, err := openSnapshot(ctx, arch, id, cluster)
			if err != nil {
				return err
			}
			return a.cat(ctx, s, q, limit)
		}),
	}
	store.register(cmd.Flags())
	registerSnapshot(cmd.Flags(), &id)
	registerCluster(cmd.Flags(), &cluster)
	addFlag(a, cmd.Flags(), &partition, "partition", "int", "", "only this partition (default all)", parseInt(0, math.MaxInt32))
	addFlag(a, cmd.Flags(), &q.Offset, "offset", "int", "", "begin at this offset, in each partition (default the start)", parseInt(0, math.MaxInt64))
	addFlag(a, cmd.Flags(), &q.Until, "until", "time", "", "only records with a timestamp at or before this", units.ParseTime)
	addFlag(a, cmd.Flags(), &limit, "limit", "int", "", "at most so many records (default all)", parseInt(1, math.MaxInt64))
	cmd.Flags().BoolVar(&q.Uncommitted, "uncommitted", false, "records of aborted transactions as well")
	return cmd
}

func (a *app) cat(ctx context.Context, s *storage.Snapshot, q restore.Query, limit int64) error {
	w := bufio.NewWriterSize(a.stdout, 64<<10)
	err := printRecords(w, restore.Records(ctx, s, q), limit)
	if flushed := w.Flush(); err == nil {
		err = flushed
	}
	return err
}

func printRecords(w io.Writer, records func(func(*kgo.Record, error) bool), limit int64) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for r, err := range records {
		if err != nil {
			return err
		}
		if err := enc.Encode(lineOf(r)); err != nil {
			return err
		}
		if limit--; limit == 0 {
			break
		}
	}
	return nil
}

// recordLine is a record as cat prints it.
type recordLine struct {
	Topic         string       `json:"topic"`
	Partition     int32        `json:"partition"`
	Offset        int64        `json:"offset"`
	Timestamp     string       `json:"timestamp"`
	TimestampMS   int64        `json:"timestamp_ms"`
	TimestampType string       `json:"timestamp_type"`
	Key           *string      `json:"key"`
	KeyEncoding   string       `json:"key_encoding,omitempty"`
	Value         *string      `json:"value"`
	ValueEncoding string       `json:"value_encoding,omitempty"`
	Headers       []headerLine `json:"headers"`
}

type headerLine struct {
	Key           string  `json:"key"`
	KeyEncoding   string  `json:"key_encoding,omitempty"`
	Value         *string `json:"value"`
	ValueEncoding string  `json:"value_encoding,omitempty"`
}

func lineOf(r *kgo.Record) recordLine {
	l := recordLine{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset,
		Timestamp: r.Timestamp.UTC().Format("2006-01-02T15:04:05.000Z07:00"), TimestampMS: r.Timestamp.UnixMilli(),
		TimestampType: timestampType(r), Headers: []headerLine{},
	}
	l.Key, l.KeyEncoding = text(r.Key)
	l.Value, l.ValueEncoding = text(r.Value)
	for _, h := range r.Headers {
		var line headerLine
		key, encoding := text([]byte(h.Key))
		line.Key, line.KeyEncoding = "", encoding
		if key != nil {
			line.Key = *key
		}
		line.Value, line.ValueEncoding = text(h.Value)
		l.Headers = append(l.Headers, line)
	}
	return l
}

// timestampType is as Kafka names it: CreateTime or LogAppendTime.
func timestampType(r *kgo.Record) string {
	switch t := r.Attrs.TimestampType(); t {
	case 0:
		return "CreateTime"
	case 1:
		return "LogAppendTime"
	case -1:
		return "NoTimestampType"
	default:
		return strconv.Itoa(int(t))
	}
}

// text is b as JSON can hold it: nil for null, itself where it is UTF-8, else base64.
func text(b []byte) (value *string, encoding string) {
	if b == nil {
		return nil, ""
	}
	s := string(b)
	if !utf8.Valid(b) {
		s, encoding = base64.StdEncoding.EncodeToString(b), "base64"
	}
	return &s, encoding
}
