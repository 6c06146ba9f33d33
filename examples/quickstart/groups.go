package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/storage"
)

// group is a consumer group of the story.
type group struct{ name, topic string }

var (
	billing     = group{"billing", orders}
	bookkeeping = group{"bookkeeping", payments}
	groups      = []group{billing, bookkeeping}
)

// join makes a client that is the group's one member, until ctx ends.
func (g group) join(ctx context.Context, c *kfake.Cluster) (*kgo.Client, error) {
	return kgo.NewClient(append(clientOpts(c), kgo.WithContext(ctx),
		kgo.ConsumerGroup(g.name), kgo.ConsumeTopics(g.topic), kgo.DisableAutoCommit(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

// consume reads at a leisurely pace, so that the group is in the middle of its
// topic when the cluster stops, and commits what it has read.
func (a *applications) consume(ctx context.Context, g group) {
	cl, err := g.join(ctx, a.cluster)
	if err != nil {
		return
	}
	defer cl.Close()
	for {
		poll, cancel := context.WithTimeout(ctx, time.Second)
		fetches := cl.PollRecords(poll, 100)
		cancel()
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return // the application goes down with its cluster
		}
		commit, cancel := context.WithTimeout(ctx, time.Second)
		err := cl.CommitUncommittedOffsets(commit)
		cancel()
		if err == nil {
			a.ledger.noteCommit(g.name, cl.CommittedOffsets())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// waitForCommits waits until each group has committed in each partition of its
// topic.
func (a *applications) waitForCommits(ctx context.Context) error {
	for !a.ledger.allCommitted() {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waiting until the groups have committed: %w", context.Cause(ctx))
		}
	}
	return nil
}

func (l *ledger) allCommitted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, g := range groups {
		for p := range l.entries {
			if p.topic == g.topic && l.commits[g.name][p] <= 0 {
				return false
			}
		}
	}
	return true
}

// noteCommit writes down how far a group has come.
func (l *ledger) noteCommit(group string, offsets map[string]map[int32]kgo.EpochOffset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.commits[group] == nil {
		l.commits[group] = make(map[place]int64)
	}
	for topic, partitions := range offsets {
		for partition, o := range partitions {
			l.commits[group][place{topic, partition}] = o.Offset
		}
	}
}

// groupsGoOn checks that the second cluster has each group's offsets, lets the
// group read on there and checks that it gets the very record that it would
// have got next on the first.
func groupsGoOn(ctx context.Context, s *story, snapshot *storage.Snapshot, second *kfake.Cluster, l *ledger) error {
	offsets, err := groupOffsets(ctx, snapshot)
	if err != nil {
		return err
	}
	for _, g := range groups {
		ends, err := endOffsets(ctx, snapshot, g.topic)
		if err != nil {
			return err
		}
		restored, err := restoredOffsets(ctx, second, g)
		if err != nil {
			return err
		}
		same := len(restored) > 0 && len(restored) == len(offsets[g.name])
		want := make(map[place]int64) // the first visible record at or behind the committed offset
		for p, offset := range offsets[g.name] {
			same = same && restored[p] == min(offset, ends[p])
			if next, ok := l.nextVisible(p, offset, ends[p]); ok {
				want[p] = next
			}
		}
		got, err := firstRecords(ctx, second, g, want)
		if err != nil {
			return err
		}
		again := int64(0)
		for p, o := range l.commits[g.name] {
			again += max(0, min(o, ends[p])-offsets[g.name][p])
		}
		for p, offset := range want {
			s.check(got[p] == offset, "%s: committed %d of %s, goes on with the record at %d", g.name, offsets[g.name][p], p, got[p])
		}
		s.check(same, "%s has its offsets in %d partitions of %s (it committed %d offsets more after the last snapshot)", g.name, len(restored), g.topic, again)
	}
	return nil
}

// groupOffsets are the committed offsets that the snapshot holds.
func groupOffsets(ctx context.Context, snapshot *storage.Snapshot) (map[string]map[place]int64, error) {
	all := make(map[string]map[place]int64)
	for g, err := range snapshot.Groups(ctx) {
		if err != nil {
			return nil, err
		}
		all[g.Name] = make(map[place]int64)
		for _, o := range g.Offsets {
			all[g.Name][place{o.Topic, o.Partition}] = o.Offset
		}
	}
	return all, nil
}

// restoredOffsets are the committed offsets that the second cluster has.
func restoredOffsets(ctx context.Context, second *kfake.Cluster, g group) (all map[place]int64, err error) {
	err = withAdmin(second, func(adm *kadm.Client) error {
		all, err = committedOffsets(ctx, adm, g)
		return err
	})
	return all, err
}

// committedOffsets are those that a cluster has of a group.
func committedOffsets(ctx context.Context, adm *kadm.Client, g group) (map[place]int64, error) {
	offsets, err := adm.FetchOffsets(ctx, g.name)
	if err != nil {
		return nil, err
	}
	all := make(map[place]int64)
	offsets.Each(func(o kadm.OffsetResponse) { all[place{o.Topic, o.Partition}] = o.At })
	return all, nil
}

// firstRecords joins the group and returns the first offset that it gets of
// each partition that is wanted.
func firstRecords(ctx context.Context, c *kfake.Cluster, g group, want map[place]int64) (map[place]int64, error) {
	cl, err := g.join(ctx, c)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	got, missing := make(map[place]int64), maps.Clone(want)
	for len(missing) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return got, fmt.Errorf("group %s: %w", g.name, errors.Join(err, context.Cause(ctx)))
		}
		fetches.EachRecord(func(r *kgo.Record) {
			p := place{r.Topic, r.Partition}
			if _, seen := got[p]; !seen {
				got[p] = r.Offset
			}
			delete(missing, p)
		})
	}
	return got, nil
}
