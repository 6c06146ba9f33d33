package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// openArchive opens an archive in a directory. Any bucket of gocloud.dev/blob
// will do in its place: S3, Google or Azure storage.
func openArchive(ctx context.Context, dir string) (*storage.Archive, func(), error) {
	bucket, err := filestore.OpenBucket(dir, nil)
	if err != nil {
		return nil, nil, err
	}
	archive, err := storage.Open(ctx, bucket, storage.Config{})
	return archive, func() { _ = bucket.Close() }, err
}

// runningBackup is a continuous backup.
type runningBackup struct {
	follower  *backup.Follower
	snapshots chan storage.Info
	cancel    context.CancelFunc
	ended     chan error
}

// startBackup backs the cluster up until it is killed: data is durable within
// a quarter of a second, and a full snapshot, with groups and configs, is
// taken every second.
func startBackup(ctx context.Context, s *story, archive *storage.Archive, first *kfake.Cluster) (*runningBackup, error) {
	b := &runningBackup{snapshots: make(chan storage.Info, 100), ended: make(chan error, 1)}
	follower, err := backup.NewFollower(backup.FollowerConfig{
		Config: backup.Config{
			Source:  clientOpts(first),
			Archive: archive,
			Hooks:   backup.Hooks{OnSnapshot: func(i storage.Info) { b.snapshots <- i }},
		},
		Flush: 250 * time.Millisecond,
		Every: time.Second,
	})
	if err != nil {
		return nil, err
	}
	b.follower = follower
	ctx, b.cancel = context.WithCancel(ctx)
	go func() { b.ended <- follower.Run(ctx) }()
	s.say("flush every 250 ms, full snapshot every second")
	return b, nil
}

// waitForSnapshots waits until n further full snapshots are committed. The
// first of them may have begun before.
func (b *runningBackup) waitForSnapshots(ctx context.Context, n int) error {
	for len(b.snapshots) > 0 {
		<-b.snapshots
	}
	for range n {
		select {
		case <-b.snapshots:
		case err := <-b.ended:
			return fmt.Errorf("the backup ended: %w", err)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// kill ends the backup as a crash would: nothing more is committed. (Stop is
// the clean way.)
func (b *runningBackup) kill() error {
	b.cancel()
	if err := <-b.ended; err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the backup ended: %w", err)
	}
	return nil
}
