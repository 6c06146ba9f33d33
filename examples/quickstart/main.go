package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/kafkadr/kafkadr/storage"
)

func main() {
	seed := flag.Uint64("seed", uint64(time.Now().UnixNano()), "the seed of all that is random") //nolint:gosec // any number will do
	flag.Parse()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	err := run(ctx, os.Stdout, *seed)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run tells the story, in two acts, and fails if one of its checks does.
func run(ctx context.Context, out io.Writer, seed uint64) error {
	dir, err := os.MkdirTemp("", "kafkadr-quickstart-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	s := &story{out: out, start: time.Now()}
	s.chapter("First act: two clusters, and an archive in a directory (seed %d)", seed)
	archive, closeArchive, err := openArchive(ctx, dir)
	if err != nil {
		return err
	}
	defer closeArchive()

	ledger, stopped, err := disaster(ctx, s, archive, seed)
	if err != nil {
		return err
	}
	if err := recovery(ctx, s, archive, ledger, stopped); err != nil {
		return err
	}
	if err := survival(ctx, s, seed); err != nil {
		return err
	}
	return s.end()
}

// disaster runs applications and a backup on a first cluster until it is
// gone. It returns what the applications know: which records Kafka acked.
func disaster(ctx context.Context, s *story, archive *storage.Archive, seed uint64) (*ledger, time.Time, error) {
	first, err := startCluster("first")
	if err != nil {
		return nil, time.Time{}, err
	}
	defer first.Close()

	s.chapter("Applications fill the first cluster")
	apps, err := newApplications(ctx, first, seed)
	if err != nil {
		return nil, time.Time{}, err
	}
	if err := apps.fill(ctx); err != nil {
		return nil, time.Time{}, err
	}
	s.say("%s", apps.ledger.summary())
	s.say("the log of profiles is compacted: its offsets have holes")

	s.chapter("They go on, and so does a continuous backup")
	backup, err := startBackup(ctx, s, archive, first)
	if err != nil {
		return nil, time.Time{}, err
	}
	apps.start(ctx)

	s.chapter("At a moment that nobody announced, the first cluster stops")
	if err := apps.waitForCommits(ctx); err != nil {
		return nil, time.Time{}, err
	}
	if err := backup.waitForSnapshots(ctx, 2); err != nil { // the second of them has what the groups committed
		return nil, time.Time{}, err
	}
	unannounced := 500*time.Millisecond + time.Duration(rand.New(rand.NewPCG(seed, 1)).Int64N(int64(2*time.Second))) //nolint:gosec // not a secret
	select {
	case <-time.After(unannounced):
	case <-ctx.Done():
		return nil, time.Time{}, context.Cause(ctx)
	}
	stopped := time.Now()
	first.Close() // with it go the applications, and the backup, at once
	if err := backup.kill(); err != nil {
		return nil, time.Time{}, err
	}
	apps.lost()
	s.say("%s", apps.ledger.summary())
	return apps.ledger, stopped, nil
}

// recovery restores the archive onto a second cluster and checks all of it.
func recovery(ctx context.Context, s *story, archive *storage.Archive, ledger *ledger, stopped time.Time) error {
	second, err := startCluster("second")
	if err != nil {
		return err
	}
	defer second.Close()

	s.chapter("Restore onto the second cluster")
	snapshot, err := archive.Latest(ctx, nil)
	if err != nil {
		return err
	}
	if err := restoreOnto(ctx, s, snapshot, second); err != nil {
		return err
	}

	s.chapter("The consumer groups go on")
	if err := groupsGoOn(ctx, s, snapshot, second, ledger); err != nil {
		return err
	}
	s.say("time to recover (RTO), from the stop to the first records in the groups' hands: %s", time.Since(stopped).Round(time.Millisecond))

	s.chapter("The proof")
	if err := prove(ctx, s, snapshot, second, ledger); err != nil {
		return err
	}
	s.chapter("What was not flushed yet (RPO)")
	return unflushed(ctx, s, snapshot, ledger, stopped)
}
