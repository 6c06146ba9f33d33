package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/storage"
)

func newSweep(a *app) *cobra.Command {
	var store storeFlags
	var cluster string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "sweep --store URL",
		Short: "Remove objects that nothing names: what writers left that were killed",
		Long: `Remove objects that nothing names: what writers left that were killed, and the
marks of snapshots that were lost, once a later one was taken. A
follower that runs meanwhile notices, and goes on; a snapshot that is being
taken is refused at its end, and has to be taken again.`,
		RunE: a.run(0, func([]string) { store.check(a) }, func(ctx context.Context) error {
			arch, done, err := store.open(ctx, a, existing, storage.Hooks{})
			if err != nil {
				return err
			}
			defer done()
			return a.sweep(ctx, arch, cluster, dryRun)
		}),
	}
	store.register(cmd.Flags())
	cmd.Flags().StringVar(&cluster, "cluster", "", "only what is of this source cluster (default all)")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count")
	return cmd
}

func (a *app) sweep(ctx context.Context, arch *storage.Archive, cluster string, dryRun bool) error {
	lineages, err := arch.Lineages(ctx)
	if err != nil {
		return err
	}
	if cluster != "" {
		lineages = []storage.Lineage{{ClusterID: cluster}}
	}
	var sum storage.SweepResult
	for _, l := range lineages {
		r, err := arch.Sweep(ctx, l, storage.SweepOptions{DryRun: dryRun})
		if r != nil {
			sum.Objects += r.Objects
			sum.Bytes += r.Bytes
			sum.Refused += r.Refused
			sum.RefusedBytes += r.RefusedBytes
		}
		if err != nil {
			return err
		}
	}
	if a.json {
		return a.document(struct {
			storage.SweepResult
			DryRun bool `json:"dry_run"`
		}{sum, dryRun})
	}
	verb := "removed"
	if dryRun {
		verb = "would remove"
	}
	if err := a.printf("%s %d objects, %s\n", verb, sum.Objects, units.Size(sum.Bytes)); err != nil || sum.Refused == 0 {
		return err
	}
	return a.printf("the store refuses to remove %d objects, %s: no right to, or a retention policy or lock holds them\n", sum.Refused, units.Size(sum.RefusedBytes))
}
