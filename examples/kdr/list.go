package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/storage"
)

func newList(a *app) *cobra.Command {
	var store storeFlags
	cmd := &cobra.Command{
		Use:   "list --store URL",
		Short: "List the snapshots of an archive, oldest first",
		RunE: a.run(0, func([]string) { store.check(a) }, func(ctx context.Context) error {
			arch, done, err := store.open(ctx, a, reading, storage.Hooks{})
			if err != nil {
				return err
			}
			defer done()
			infos, err := allSnapshots(ctx, arch)
			if err != nil && !isSpoilt(err) {
				return err
			}
			return errors.Join(a.printList(infos), err)
		}),
	}
	store.register(cmd.Flags())
	return cmd
}

// allSnapshots are those of all clusters in the archive, by time. Where the newest of a cluster
// can't be read, those before it are returned with the error.
func allSnapshots(ctx context.Context, arch *storage.Archive) ([]storage.Info, error) {
	lineages, err := arch.Lineages(ctx)
	if err != nil {
		return nil, err
	}
	var infos []storage.Info
	var spoilt error
	for _, l := range lineages {
		before := len(infos)
		for info, err := range arch.Snapshots(ctx, l) {
			switch {
			case err == nil:
				infos = append(infos, info)
			case !isSpoilt(err):
				return nil, err
			case len(infos) > before:
				spoilt = errors.Join(spoilt, fmt.Errorf("cluster %s: the newest snapshot can't be read, restore an older one with --snapshot: %w", l.ClusterID, err))
			default:
				spoilt = errors.Join(spoilt, fmt.Errorf("cluster %s: no snapshot can be listed: %w", l.ClusterID, err))
			}
		}
	}
	slices.SortStableFunc(infos, func(x, y storage.Info) int { return x.CreatedAt.Compare(y.CreatedAt) })
	return infos, spoilt
}

// isSpoilt says whether an error is of what was read and not of the store.
func isSpoilt(err error) bool {
	var version *storage.VersionError
	return isDamage(err) || errors.As(err, &version)
}

func (a *app) printList(infos []storage.Info) error {
	if a.json {
		return a.document(list(infos))
	}
	rows := [][]string{{"SNAPSHOT", "CREATED AT", "CLUSTER", "TOPICS", "PARTITIONS", "RECORDS", "BYTES", ""}}
	for _, s := range infos {
		rows = append(rows, []string{s.ID, s.CreatedAt.UTC().Format(time.RFC3339), s.ClusterID, strconv.Itoa(s.Topics), strconv.Itoa(s.Partitions),
			strconv.FormatInt(s.Records, 10), units.Size(s.Bytes), infoNote(s)})
	}
	return a.table(rows)
}

// infoNote says what is special about a snapshot.
func infoNote(s storage.Info) string {
	switch {
	case !s.Complete:
		return "incomplete"
	case s.Flush:
		return "flush"
	}
	return ""
}
