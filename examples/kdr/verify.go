package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/storage"
)

func newVerify(a *app) *cobra.Command {
	var store storeFlags
	var id, cluster string
	var o backup.VerifyOptions
	cmd := &cobra.Command{
		Use:   "verify --store URL [SNAPSHOT]",
		Short: "Read and check everything a snapshot names, and explain every offset",
		Long: `Read and check everything a snapshot names (default: the latest), and the
chain of manifests behind it, and explain every offset. Exit code 3: damage.`,
		RunE: a.run(1, func(args []string) { store.check(a); id = first(args) }, func(ctx context.Context) error {
			arch, done, err := store.open(ctx, a, reading, storage.Hooks{})
			if err != nil {
				return a.unopened(id, err)
			}
			defer done()
			s, err := openSnapshot(ctx, arch, id, cluster)
			if err != nil {
				return a.unopened(id, err)
			}
			return a.verify(ctx, arch, s, o)
		}),
	}
	store.register(cmd.Flags())
	registerCluster(cmd.Flags(), &cluster)
	addFlag(a, cmd.Flags(), &o.Sample, "sample", "share", "", "read only this share of the objects, such as 5%; existence and sizes are checked of all (default all)", units.ParseShare)
	return cmd
}

func (a *app) verify(ctx context.Context, arch *storage.Archive, s *storage.Snapshot, o backup.VerifyOptions) error {
	start := time.Now()
	p := a.startProgress("verify")
	o.OnProgress = func(objects, total int, bytes int64) {
		p.set(amounts{bytes: bytes, extra: fmt.Sprintf("%d/%d objects", objects, total)})
	}
	report, err := backup.Verify(ctx, arch, s, o)
	p.end()
	if err != nil {
		return err
	}
	if err := a.printReport(report, time.Since(start)); err != nil {
		return err
	}
	if n := len(report.Problems); n > 0 && !report.Damaged() {
		return fmt.Errorf("snapshot %s: the store refuses to give %d objects or parts of them, which aren't known to be damaged: give the right to read them, and verify again", report.Snapshot.ID, n)
	} else if n > 0 {
		return &damageError{fmt.Sprintf("snapshot %s: %d problems found", report.Snapshot.ID, n)}
	}
	return nil
}

// unopened prints the damage that an archive or snapshot can't be opened for.
func (a *app) unopened(id string, err error) error {
	var d *storage.DamageError
	if !errors.As(err, &d) {
		return err
	}
	report := &backup.Report{Snapshot: storage.Info{ID: id}, Problems: []backup.Problem{
		{Kind: "manifest", Partition: d.Partition.Partition, BaseOffset: d.BaseOffset, EndOffset: d.EndOffset, Object: d.Object, Detail: d.Err.Error()},
	}}
	return errors.Join(a.printReport(report, 0), err)
}

func (a *app) printReport(r *backup.Report, took time.Duration) error {
	if a.json {
		return a.document(struct {
			ID       string           `json:"snapshot"`
			Objects  int              `json:"objects"`
			Bytes    int64            `json:"bytes"`
			Records  int64            `json:"records"`
			Problems []backup.Problem `json:"problems"`
			Millis   int64            `json:"duration_ms"`
		}{r.Snapshot.ID, r.Objects, r.Bytes, r.Records, list(r.Problems), took.Milliseconds()})
	}
	for _, p := range r.Problems {
		if err := a.printf("%s: %s/%d offsets %d to %d%s%s\n", p.Kind, quote.Name(p.Topic), p.Partition, p.BaseOffset, p.EndOffset, note(p.Object), note(p.Detail)); err != nil {
			return err
		}
	}
	return a.printf("snapshot %s: %d objects, %s, %d records read in %s: %d problems\n",
		r.Snapshot.ID, r.Objects, units.Size(r.Bytes), r.Records, took.Round(time.Millisecond), len(r.Problems))
}
