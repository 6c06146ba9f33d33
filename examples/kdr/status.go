package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/mirror"
)

func newStatus(a *app) *cobra.Command {
	var pair pairFlags
	var flow string
	var clusters clustersFlag
	cmd := &cobra.Command{
		Use:   "status {--from HOST:PORT,… --to HOST:PORT,… | --clusters FILE}",
		Short: "Say who is active, where a mirror stands, and what would be lost if the source were lost now",
		Long: `Look at both clusters and say, per topic, how far the standby has got, how far it
is behind, and what has stopped. The mirror needn't run.

With --clusters, say of the scope of a clusters file who is active since which epoch
and why, which clusters answer, what one look by the file's probes says of them (it
makes no canary topic), and the same of the mirror from the active cluster to each of
the others. Exit code 1 where the register or the mirrors can't be asked.
` + clustersHelp,
		Example: `  kdr status --from a:9092 --to b:9092
  kdr status --from a:9092 --to b:9092 --name mirror --json
  kdr status --clusters clusters.json`,
	}
	clusters.register(cmd.Flags())
	pair.register(cmd.Flags())
	cmd.Flags().StringVar(&flow, "name", "mirror", "the flow's name")
	cmd.RunE = a.run(0, func([]string) {
		if clusters.path == "" {
			pair.check(a)
			return
		}
		clusters.check(a)
		for _, name := range []string{"from", "to", "kafka-config", "from-kafka-config", "to-kafka-config", "name"} {
			if cmd.Flags().Changed(name) {
				a.fault("--%s: --clusters says that", name)
			}
		}
	}, func(ctx context.Context) error {
		if clusters.path != "" {
			return a.clustersStatus(ctx, &clusters.file)
		}
		cfg := mirror.Config{Name: flow, ClientID: pair.from.config.ClientID, Logger: a.log}
		cfg.Source, cfg.Target = pair.opts(a)
		s, err := mirror.Observe(ctx, cfg)
		if err != nil {
			return err
		}
		if a.json {
			return a.document(s)
		}
		return a.printStatus(s)
	})
	return cmd
}

func (a *app) printStatus(s *mirror.Status) error {
	if err := a.printf("flow %s: cluster %s to cluster %s, announced %s\n", s.Flow, s.SourceCluster, s.TargetCluster, s.Started.Format(time.RFC3339)); err != nil {
		return err
	}
	rows := [][]string{{"TOPIC", "COPY", "PARTITIONS", "STOPPED", "BEHIND", "AGE"}}
	var stopped strings.Builder
	for _, t := range s.Topics {
		behind, age := strconv.FormatInt(t.LagRecords, 10), (time.Duration(t.LagMillis) * time.Millisecond).String()
		if slices.ContainsFunc(t.Detail, func(p mirror.PartitionStatus) bool { return p.Position < 0 }) {
			behind, age = "unknown", "unknown"
		}
		rows = append(rows, []string{t.Source, t.Target, strconv.Itoa(t.Partitions), strconv.Itoa(t.Stopped), behind, age})
		for _, p := range t.Detail {
			if p.State == mirror.Stopped && p.Event != nil {
				fmt.Fprintf(&stopped, "stopped: %s\n", p.Event)
			}
		}
	}
	if err := a.table(rows); err != nil {
		return err
	}
	unknown := ""
	if s.RPO.Unknown > 0 {
		unknown = fmt.Sprintf(", and %d partitions aren't on the standby, or can't be looked at", s.RPO.Unknown)
	}
	return a.printf("%slost if the source were lost now: %d records, the oldest %s old%s\n", stopped.String(), s.RPO.Records, time.Duration(s.RPO.AgeMillis)*time.Millisecond, unknown)
}
