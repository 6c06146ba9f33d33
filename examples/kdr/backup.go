package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/storage"
)

// backupFlags are those of one snapshot and of a follower.
type backupFlags struct {
	cluster clusterFlags
	store   storeFlags
	topics  topicFlags
	rate    int64
	zstd    bool
	groups  bool // are skipped

	follow       bool
	every, flush time.Duration
	metrics      string
}

func newBackup(a *app) *cobra.Command {
	f := backupFlags{every: time.Minute, flush: 10 * time.Second}
	cmd := &cobra.Command{
		Use:   "backup --brokers HOST:PORT,… --store URL",
		Short: "Take a snapshot of a cluster, or follow it continuously",
		Long: `Take one snapshot, up to the last stable offsets of all partitions at its
start, incremental on what the archive holds. With --follow, go on: data is
durable within --flush, and a full snapshot is taken each --every.`,
		Example: `  kdr backup --brokers kafka:9092 --store file:///backups/main
  kdr backup --brokers kafka:9092 --store s3://backups?region=eu-central-1 --follow --metrics :9400`,
	}
	f.register(a, cmd)
	cmd.RunE = a.run(0, func([]string) { f.check(a, cmd) }, func(ctx context.Context) error {
		arch, done, err := f.store.open(ctx, a, writing, storage.Hooks{})
		if err != nil {
			return err
		}
		defer done()
		if f.follow {
			return a.follow(ctx, &f, arch)
		}
		return a.backup(ctx, f.config(a, arch))
	})
	return cmd
}

func (f *backupFlags) register(a *app, cmd *cobra.Command) {
	fs := cmd.Flags()
	f.cluster.register(fs, "from")
	f.store.register(fs)
	f.topics.register(fs)
	addFlag(a, fs, &f.rate, "rate", "size", "", "read at most so much a second, such as 50MiB (default no bound)", units.ParseRate)
	fs.BoolVar(&f.zstd, "zstd", false, "compress what isn't compressed yet")
	fs.BoolVar(&f.groups, "skip-groups", false, "leave consumer groups alone, for who may not describe them")
	fs.BoolVar(&f.follow, "follow", false, "go on until stopped")
	addFlag(a, fs, &f.every, "every", "duration", "1m", "with --follow: from one full snapshot to the next", units.ParseDuration)
	addFlag(a, fs, &f.flush, "flush", "duration", "10s", "with --follow: how old a record may become before it is durable", units.ParseDuration)
	fs.StringVar(&f.metrics, "metrics", "", "with --follow: serve /metrics and /healthz on this address, HOST:PORT or :PORT")
}

func (f *backupFlags) check(a *app, cmd *cobra.Command) {
	f.cluster.check(a)
	f.store.check(a)
	f.topics.check(a)
	for _, name := range []string{"every", "flush", "metrics"} {
		if !f.follow && cmd.Flags().Changed(name) {
			a.fault("--%s needs --follow", name)
		}
	}
	checkAddress(a, "--metrics", f.metrics)
}

func (f *backupFlags) config(a *app, arch *storage.Archive) backup.Config {
	return backup.Config{
		Source:            f.cluster.opts(a),
		Archive:           arch,
		Topics:            f.topics.topics,
		Exclude:           f.topics.exclude,
		MaxBytesPerSecond: f.rate,
		ClientID:          f.cluster.config.ClientID,
		Rack:              f.cluster.config.Rack,
		Zstd:              f.zstd,
		SkipGroups:        f.groups,
		Logger:            a.log,
	}
}

// backup takes one snapshot.
func (a *app) backup(ctx context.Context, cfg backup.Config) error {
	p := a.startProgress("backup")
	cfg.Hooks = a.backupHooks(p)
	result, err := backup.Run(ctx, cfg)
	p.end()
	if result == nil {
		return err
	}
	return errors.Join(err, a.printBackup(result))
}

// backupHooks log what an operator should see, and feed the progress line.
func (a *app) backupHooks(p *progress) backup.Hooks {
	return backup.Hooks{
		OnHole: func(topic string, partition int32, h storage.Hole) {
			a.log.Warn("offsets were lost before they could be read", "topic", topic, "partition", partition,
				"base_offset", h.BaseOffset, "end_offset", h.EndOffset, "reason", h.Reason, "evidence", h.Evidence)
		},
		OnTruncated: func(e *backup.TruncatedError) { a.log.Warn("the source was truncated: a new history begins", "err", e) },
		OnIncarnation: func(t storage.Topic) {
			a.log.Info("topic", "name", t.Name, "id", t.ID, "deleted", !t.Deleted.IsZero())
		},
		OnRetry: func(op string, err error) { a.log.Debug("trying again", "op", op, "err", err) },
		OnProgress: func(s backup.Status) {
			p.set(amounts{records: s.Records, totalRecords: s.TotalRecords, bytes: s.Bytes, extra: behind(s)})
		},
	}
}

// behind says what holds a backup up.
func behind(s backup.Status) string {
	var parts []string
	if s.TotalRecords == 0 && s.LagRecords > 0 {
		parts = append(parts, fmt.Sprintf("%d records behind", s.LagRecords))
	}
	if s.LSOLag > 0 {
		parts = append(parts, fmt.Sprintf("an open transaction holds %d offsets of %s back", s.LSOLag, s.LSOLagPartition))
	}
	if s.Faulted > 0 {
		parts = append(parts, fmt.Sprintf("%d partitions can't be read", s.Faulted))
	}
	return strings.Join(parts, ", ")
}

// backedUp is a backup's result as a document.
type backedUp struct {
	Snapshot   string            `json:"snapshot"`
	CreatedAt  time.Time         `json:"created_at"`
	ClusterID  string            `json:"cluster_id"`
	Complete   bool              `json:"complete"`
	Topics     int               `json:"topics"`
	Partitions int               `json:"partitions"`
	Records    int64             `json:"records"` // records, bytes and objects are what was added
	Bytes      int64             `json:"bytes"`
	Objects    int64             `json:"objects"`
	Total      totals            `json:"total"` // and what the snapshot holds
	Gaps       []gap             `json:"gaps"`
	Truncated  []truncation      `json:"truncated"`
	LeftOut    []string          `json:"left_out"`
	LeftOutWhy map[string]string `json:"left_out_why,omitempty"` // also of topics that are the cluster's own
	Unread     map[string]string `json:"unread,omitempty"`
	Millis     int64             `json:"duration_ms"`
}

type totals struct {
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
}

// gap is a range of offsets that this backup couldn't get.
type gap struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	storage.Hole
}

type truncation struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	ArchivedEnd int64  `json:"archived_end"`
	SourceEnd   int64  `json:"source_end"`
	Reason      string `json:"reason"`
}

func backedUpOf(r *backup.Result) backedUp {
	s := r.Snapshot
	d := backedUp{
		Snapshot: s.ID, CreatedAt: s.CreatedAt, ClusterID: s.ClusterID, Complete: s.Complete, Topics: s.Topics, Partitions: s.Partitions,
		Records: r.Records, Bytes: r.Bytes, Objects: r.Objects, Total: totals{s.Records, s.Bytes},
		Gaps: []gap{}, Truncated: []truncation{}, LeftOut: list(r.LeftOut), LeftOutWhy: r.LeftOutWhy, Unread: r.Unread, Millis: r.Duration.Milliseconds(),
	}
	for _, h := range r.Holes {
		if h.Reason != storage.Compacted { // compaction loses nothing
			d.Gaps = append(d.Gaps, gap{h.Topic, h.Partition, h.Hole})
		}
	}
	for _, t := range r.Truncated {
		d.Truncated = append(d.Truncated, truncation{t.Topic, t.Partition, t.ArchivedEnd, t.SourceEnd, t.Reason})
	}
	return d
}

// leftOut is a line for each reason, with the topics that it left out.
func leftOut(b *strings.Builder, why map[string]string) {
	topics := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(why)) {
		topics[why[name]] = append(topics[why[name]], name)
	}
	for _, reason := range slices.Sorted(maps.Keys(topics)) {
		fmt.Fprintf(b, "left out: %s (%s)\n", strings.Join(topics[reason], ", "), reason)
	}
}

func (a *app) printBackup(r *backup.Result) error {
	d := backedUpOf(r)
	if a.json {
		return a.document(d)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "snapshot %s: %d topics, %d partitions, %d records; added %d records, %s in %d objects, in %s%s\n",
		d.Snapshot, d.Topics, d.Partitions, d.Total.Records, d.Records, units.Size(d.Bytes), d.Objects, r.Duration.Round(time.Millisecond), note(infoNote(r.Snapshot)))
	for _, g := range d.Gaps {
		fmt.Fprintf(&b, "gap: %s/%d offsets %d to %d: %s%s\n", quote.Name(g.Topic), g.Partition, g.BaseOffset, g.EndOffset, g.Reason, note(g.Evidence))
	}
	for _, t := range d.Truncated {
		fmt.Fprintf(&b, "truncated: %s/%d: archived to %d, the source ends at %d: %s\n", quote.Name(t.Topic), t.Partition, t.ArchivedEnd, t.SourceEnd, t.Reason)
	}
	leftOut(&b, d.LeftOutWhy)
	for what, why := range d.Unread {
		fmt.Fprintf(&b, "not read: %s: %s\n", what, why)
	}
	return a.printf("%s", b.String())
}
