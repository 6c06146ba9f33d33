package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/storage"
)

func newExport(a *app) *cobra.Command {
	var store storeFlags
	var topics topicFlags
	var id, cluster, dir string
	cmd := &cobra.Command{
		Use:   "export --store URL --dir DIR",
		Short: "Write a snapshot as plain Kafka log segments, TOPIC-P/BASEOFFSET.log",
		Long: `Write a snapshot as plain Kafka log segments, DIR/TOPIC-P/BASEOFFSET.log, batch
for batch the bytes that the broker had. kafka-dump-log.sh reads them. They must
not be put into a broker as they are.`,
		RunE: a.run(0, func([]string) {
			store.check(a)
			topics.check(a)
			if dir == "" {
				a.fault("--dir is required")
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
			return a.export(ctx, s, dir, backup.ExportOptions{Topics: topics.topics, Exclude: topics.exclude})
		}),
	}
	store.register(cmd.Flags())
	topics.register(cmd.Flags())
	registerSnapshot(cmd.Flags(), &id)
	registerCluster(cmd.Flags(), &cluster)
	cmd.Flags().StringVar(&dir, "dir", "", "the directory to write into (required)")
	return cmd
}

func (a *app) export(ctx context.Context, s *storage.Snapshot, dir string, o backup.ExportOptions) error {
	p := a.startProgress("export")
	defer p.end()
	var sum amounts
	o.OnProgress = func(f backup.ExportedFile) {
		sum.records += f.Records
		sum.bytes += f.Bytes
		p.set(sum)
	}
	files, err := backup.Export(ctx, s, dir, o)
	p.end()
	if err != nil {
		return err
	}
	if a.json {
		return a.document(struct {
			ID      string                `json:"snapshot"`
			Dir     string                `json:"dir"`
			Records int64                 `json:"records"`
			Bytes   int64                 `json:"bytes"`
			Files   []backup.ExportedFile `json:"files"`
		}{s.Info().ID, dir, sum.records, sum.bytes, list(files)})
	}
	for _, f := range files {
		if err := a.printf("%s: offsets %d to %d, %d records, %s\n", f.Path, f.BaseOffset, f.EndOffset, f.Records, units.Size(f.Bytes)); err != nil {
			return err
		}
	}
	return a.printf("%d files, %d records, %s\n", len(files), sum.records, units.Size(sum.bytes))
}
