package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
)

// survival is the second act: a mirror keeps a standby level with a primary,
// which is killed under an application that goes on at the standby.
func survival(ctx context.Context, s *story, seed uint64) error {
	primary, standby, err := startPair(ctx)
	if err != nil {
		return err
	}
	defer primary.Close()
	defer standby.Close()
	clusters := []failover.Cluster{{Name: "primary", Opts: clientOpts(primary)}, {Name: "standby", Opts: clientOpts(standby)}}
	reg := register.NewMemory()
	if _, err := register.Begin(ctx, reg, "default", register.Epoch{Active: "primary", Lease: lease, By: "operator"}); err != nil { // once, for good
		return err
	}

	s.chapter("Second act: a mirror keeps a standby level with a primary")
	copied, err := startMirror(ctx, primary, standby)
	if err != nil {
		return err
	}
	defer copied.end()
	controller, err := startController(ctx, clusters, reg, copied)
	if err != nil {
		return err
	}
	defer controller.end()
	s.say("a controller probes both, ten times a second")

	s.chapter("An application runs on whichever of the two is active")
	app, err := openShop(ctx, clusters, reg)
	if err != nil {
		return err
	}
	defer app.end()
	app.start(ctx)
	if err := steady(ctx, s, app, standby); err != nil {
		return err
	}

	s.chapter("The primary is killed under it")
	unannounced := time.Duration(rand.New(rand.NewPCG(seed, 2)).Int64N(int64(300 * time.Millisecond))) //nolint:gosec // not a secret
	select {
	case <-time.After(unannounced):
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	primary.Close()
	report, err := controller.switched(ctx, s)
	if err != nil {
		return err
	}
	sayReport(s, report)

	s.chapter("The application goes on at the standby, and is let run for a while")
	if err := goesOn(ctx, s, app); err != nil {
		return err
	}
	s.chapter("The proof: nothing is lost")
	return proveSurvival(ctx, s, app, standby)
}

// partitions of the topic.
const partitions = 4

// startPair starts two clusters, of which the primary has the topic.
func startPair(ctx context.Context) (primary, standby *kfake.Cluster, err error) {
	if primary, err = startCluster("primary"); err != nil {
		return nil, nil, err
	}
	if standby, err = startCluster("standby"); err == nil {
		err = withAdmin(primary, func(adm *kadm.Client) error {
			_, err := adm.CreateTopic(ctx, partitions, 3, nil, orders)
			return err
		})
	}
	if err != nil {
		primary.Close()
		if standby != nil {
			standby.Close()
		}
		return nil, nil, err
	}
	return primary, standby, nil
}

// steady waits until orders are billed, and the mirror has carried the group
// in each partition.
func steady(ctx context.Context, s *story, app *shop, standby *kfake.Cluster) error {
	b := app.book
	if err := b.wait(ctx, "500 orders are billed", func() bool { return len(b.billed) >= 500 }); err != nil {
		return err
	}
	return withAdmin(standby, func(adm *kadm.Client) error {
		for {
			carried, err := committedOffsets(ctx, adm, billing)
			if err != nil {
				return err
			}
			if len(carried) == partitions {
				b.note(func() {
					b.carried, b.back = carried, nil
					s.say("%d orders are acked, %d are billed, and the standby knows how far %s is", len(b.acked), len(b.billed), billing.name)
				})
				return nil
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
				return fmt.Errorf("waiting until the mirror has carried the group: %w", context.Cause(ctx))
			}
		}
	})
}

// goesOn waits until orders are billed that were sent after the switch, and
// then until all are.
func goesOn(ctx context.Context, s *story, app *shop) error {
	sent := 0
	app.book.look(func() { sent = len(app.book.sent) })
	if err := app.book.wait(ctx, "orders are billed that were sent after the switch", func() bool { return app.book.billedSince(sent + 200) }); err != nil {
		return err
	}
	if err := app.stop(ctx); err != nil {
		return err
	}
	status := app.kafka.Status()
	s.say("it is on the %s in epoch %d; its longest pause between two acks was %s", status.Cluster, status.Epoch, app.book.pause.Round(time.Millisecond))
	if r := status.Last; r != nil {
		s.say("%d orders had no ack when the switch came: %d were on the standby, %d were sent there", r.InDoubt, r.Found, r.Resent)
		s.say("%d had one, and the standby lacked them: they were replayed", r.Replayed)
	}
	return nil
}

// proveSurvival reads the standby and holds it against the application's own
// account.
func proveSurvival(ctx context.Context, s *story, app *shop, standby *kfake.Cluster) error {
	stored, err := readAll(ctx, standby, kgo.ReadCommitted(), orders)
	if err != nil {
		return err
	}
	b := app.book
	b.look(func() {
		f := b.compare(stored)
		s.check(len(b.failed) == 0 && len(b.acked) == len(b.sent), "%d orders were sent, every one is acked: %d", len(b.sent), len(b.acked))
		s.check(f.lost == 0, "of %d acked orders, the standby lacks %d", len(b.acked), f.lost)
		s.check(f.doubled == 0 && f.foreign == 0, "it has %d twice, and %d that nobody sent", f.doubled, f.foreign)
		s.check(f.reordered == 0, "%d aren't in the order in which their customer sent them", f.reordered)
		s.check(len(b.unbilled()) == 0, "%s got every one: %d are missing", billing.name, len(b.unbilled()))
		for p := range int32(partitions) {
			checkGoesOn(s, b, place{orders, p})
		}
		s.say("%d orders came again: %s hadn't committed them, or the mirror hadn't carried that yet", b.again(), billing.name)
	})
	return nil
}

// checkGoesOn checks that the group missed no offset of a partition, and went
// back no further than to what the mirror had carried for certain.
func checkGoesOn(s *story, b *book, p place) {
	for _, x := range b.skipped {
		if x.place == p {
			s.check(false, "%s was at %d of %s, and went on at %d", billing.name, x.from, p, x.to)
		}
	}
	from, to := b.next[p], b.next[p]
	for _, x := range b.back {
		if x.place == p && x.to < to {
			from, to = x.from, x.to
		}
	}
	s.check(to >= b.carried[p], "%s was at %d of %s when the switch came, and went on at %d: the standby knew %d of it before", billing.name, from, p, to, b.carried[p])
}
