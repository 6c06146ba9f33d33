package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/offsets/mm2"
)

// question is what translate is asked.
type question struct {
	source    string
	topic     string
	partition int32
	offset    int64
	policy    mm2.Policy
}

func newTranslate(a *app) *cobra.Command {
	var cluster clusterFlags
	var q question
	cmd := &cobra.Command{
		Use:   "translate --to HOST:PORT,… --source CLUSTER TOPIC PARTITION OFFSET",
		Short: "Say where an offset of a source cluster went on its copy",
		Long: `Say where an offset of a source cluster went: to which topic and offset of the
cluster that has the copy, how it was found, and on what evidence. Only the
copy's cluster is asked; the source may be gone.

How is exact (the same record, or the same end), next (the offset has no record;
the next one), before_start and past_end (of what was copied; its start or end),
or unknown, which is exit code 1. It is never a guess.

Where kafkadr has noted no copy, it is looked for among those that MirrorMaker 2
made; the source is then its alias there.`,
		Example: `  kdr translate --to new:9092 --source 5L6g3nShT-eMCtK--X86sw orders 3 1842`,
	}
	fs := cmd.Flags()
	cluster.register(fs, "to")
	fs.StringVar(&q.source, "source", "", "the source: its cluster ID, the alias a restore was given (--source-alias), or a mirror's name, or MirrorMaker 2's alias")
	fs.StringVar(&q.policy.Separator, "mm2-separator", ".", "MirrorMaker 2's replication.policy.separator")
	fs.BoolVar(&q.policy.Identity, "mm2-identity", false, "MirrorMaker 2 kept the topics' names (IdentityReplicationPolicy)")
	cmd.RunE = a.run(3, func(args []string) {
		cluster.check(a)
		q.check(a, args)
	}, func(ctx context.Context) error {
		return a.translate(ctx, cluster.opts(a), q)
	})
	return cmd
}

func (q *question) check(a *app, args []string) {
	if q.source == "" {
		a.fault("--source is required")
	}
	if len(args) < 3 {
		a.fault("TOPIC, PARTITION and OFFSET are required")
		return
	}
	q.topic = args[0]
	partition, err := strconv.ParseInt(args[1], 10, 32)
	if err != nil || partition < 0 {
		a.fault("PARTITION: want 0 to %d, got %q", math.MaxInt32, args[1])
	}
	q.partition = int32(partition)
	if q.offset, err = strconv.ParseInt(args[2], 10, 64); err != nil || q.offset < 0 {
		a.fault("OFFSET: want 0 or more, got %q", args[2])
	}
}

// translate asks what is noted on the cluster, and prints the answer.
func (a *app) translate(ctx context.Context, opts []kgo.Opt, q question) error {
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	t, err := q.answer(ctx, cl)
	if err != nil {
		return err
	}
	if err := a.translated(q, t); err != nil || t.How != offsets.HowUnknown {
		return err
	}
	return fmt.Errorf("%s/%d at %d of %s: where that went isn't known", q.topic, q.partition, q.offset, q.source)
}

func (a *app) translated(q question, t offsets.Translated) error {
	if a.json {
		return a.document(t)
	}
	where := "unknown"
	if t.How != offsets.HowUnknown {
		where = fmt.Sprintf("%s/%d at %d", t.Topic, t.Partition, t.Offset)
	}
	return a.printf("%s/%d at %d of %s: %s (%s)\n%s\n", q.topic, q.partition, q.offset, q.source, where, t.How, t.Evidence)
}

// answer asks kafkadr's notes, then MirrorMaker's topics.
func (q *question) answer(ctx context.Context, cl *kgo.Client) (offsets.Translated, error) {
	stored, err := offsets.Open(ctx, cl, q.source)
	if err != nil {
		return offsets.Translated{}, err
	}
	t, err := stored.Translate(ctx, q.topic, q.partition, q.offset)
	if err != nil || t.How != offsets.HowUnknown || stored.Knows(q.topic, q.partition) {
		return t, err
	}
	q.policy.SourceAlias = q.source
	made, err := mm2.Open(ctx, cl, mm2.Config{SourceAlias: q.source, Policy: q.policy})
	var none *mm2.NotFoundError
	if errors.As(err, &none) {
		t.Evidence += "; nor has MirrorMaker 2 left anything for that source"
		return t, nil
	}
	if err != nil {
		return t, err
	}
	return made.Translate(ctx, q.topic, q.partition, q.offset)
}
