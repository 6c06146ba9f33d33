package failover

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What the application asks of its consumer holds for the sessions to come as well. The last
// session's kgo client has it; a session takes it over when it is entered:
//
//  1. The application pauses a topic on session 1's client, under Client.mu.
//  2. enter makes session 2 the last one, and pauses there what is paused on session 1's, under Client.mu.
//
// Pausing never waits in kgo. What may wait there is called without Client.mu, on the last
// session's client, and again where another session has become the last one meanwhile: see onLast.

// consuming is what the application asks of its consumer; c's lock guards it.
type consuming struct {
	c      *Client
	direct *direct          // nil: it is a group's
	first  []func(*session) // to call with the first session
	left   bool             // the group was left for good
}

// onLast calls f with the last session, and again where that isn't the last one any more. Where
// there is none yet, f is called with the first.
func (k *consuming) onLast(f func(*session)) {
	for {
		k.c.mu.Lock()
		s := k.c.last
		if s == nil {
			k.first = append(k.first, f)
		}
		k.c.mu.Unlock()
		if s == nil {
			return
		}
		f(s)
		k.c.mu.Lock()
		same := k.c.last == s
		k.c.mu.Unlock()
		if same {
			return
		}
	}
}

// subscription are the options that make a new session's client consume what the last one's does.
func (k *consuming) subscription(s *session) []kgo.Opt {
	k.c.mu.Lock()
	last, left := k.c.last, k.left
	k.c.mu.Unlock()
	switch {
	case !s.grouped:
		return []kgo.Opt{kgo.ConsumeTopics(), kgo.ConsumePartitions(nil)} // assign does it
	case left:
		return []kgo.Opt{kgo.ConsumeTopics()} // nobody joins for no topic
	case last != nil && !s.regex:
		return []kgo.Opt{kgo.ConsumeTopics(last.cl.GetConsumeTopics()...)}
	}
	return nil
}

// subscribe has a session that becomes the last one consume what the one before does; c.mu is held.
func (k *consuming) subscribe(s, last *session) {
	if last == nil {
		first := k.first
		k.first = nil
		if len(first) > 0 {
			k.c.wg.Go(func() {
				for _, f := range first {
					k.onLast(f)
				}
			})
		}
		return
	}
	if topics := last.cl.PauseFetchTopics(); len(topics) > 0 {
		s.cl.PauseFetchTopics(topics...)
	}
	if partitions := last.cl.PauseFetchPartitions(nil); len(partitions) > 0 {
		s.cl.PauseFetchPartitions(partitions)
	}
	if !s.grouped || s.regex || k.left {
		return
	}
	// What was asked for since the session was opened.
	want, have := last.cl.GetConsumeTopics(), s.cl.GetConsumeTopics()
	more := slices.DeleteFunc(slices.Clone(want), func(t string) bool { return slices.Contains(have, t) })
	less := slices.DeleteFunc(have, func(t string) bool { return slices.Contains(want, t) })
	if len(more)+len(less) > 0 {
		k.c.wg.Go(func() {
			s.cl.AddConsumeTopics(more...)
			s.cl.PurgeTopicsFromConsuming(less...)
		})
	}
}

// paused calls f with the last session's client, under the lock that enter has. It gives kgo's
// answer.
func paused[T any](k *consuming, f func(*kgo.Client) T) (t T) {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if k.c.last == nil {
		k.first = append(k.first, func(s *session) { f(s.cl) })
		return t
	}
	return f(k.c.last.cl)
}

// PauseFetchTopics is kgo's. It holds through switches.
func (k *consuming) PauseFetchTopics(topics ...string) []string {
	return paused(k, func(cl *kgo.Client) []string { return cl.PauseFetchTopics(topics...) })
}

// PauseFetchPartitions is kgo's. It holds through switches.
func (k *consuming) PauseFetchPartitions(partitions map[string][]int32) map[string][]int32 {
	return paused(k, func(cl *kgo.Client) map[string][]int32 { return cl.PauseFetchPartitions(partitions) })
}

// ResumeFetchTopics is kgo's. It holds through switches.
func (k *consuming) ResumeFetchTopics(topics ...string) {
	paused(k, func(cl *kgo.Client) struct{} { cl.ResumeFetchTopics(topics...); return struct{}{} })
}

// ResumeFetchPartitions is kgo's. It holds through switches.
func (k *consuming) ResumeFetchPartitions(partitions map[string][]int32) {
	paused(k, func(cl *kgo.Client) struct{} { cl.ResumeFetchPartitions(partitions); return struct{}{} })
}

// AddConsumeTopics is kgo's. It holds through switches.
func (k *consuming) AddConsumeTopics(topics ...string) {
	if k.direct != nil {
		k.direct.add(topics)
		return
	}
	k.onLast(func(s *session) { s.cl.AddConsumeTopics(topics...) })
}

// AddConsumePartitions is kgo's. It holds through switches: a partition goes on where it was, or at
// the fork.
func (k *consuming) AddConsumePartitions(partitions map[string]map[int32]kgo.Offset) {
	if k.direct != nil {
		k.direct.addPartitions(partitions)
	}
}

// RemoveConsumePartitions is kgo's. It holds through switches.
func (k *consuming) RemoveConsumePartitions(partitions map[string][]int32) {
	if k.direct == nil {
		return
	}
	k.direct.remove(partitions)
	k.forget(func(at topicPartition) bool { return slices.Contains(partitions[at.topic], at.partition) })
	k.onLast(func(s *session) { s.cl.RemoveConsumePartitions(cloneLists(partitions)) })
}

// GetConsumeTopics is kgo's.
func (k *consuming) GetConsumeTopics() []string {
	if k.direct != nil {
		return k.direct.names()
	}
	k.c.mu.Lock()
	s := k.c.last
	k.c.mu.Unlock()
	if s == nil {
		return nil
	}
	return s.cl.GetConsumeTopics()
}

// PurgeTopicsFromConsuming is kgo's. It holds through switches.
func (k *consuming) PurgeTopicsFromConsuming(topics ...string) {
	k.purge(topics)
	k.onLast(func(s *session) { s.cl.PurgeTopicsFromConsuming(slices.Clone(topics)...) })
}

// PurgeTopicsFromProducing is kgo's, of the active cluster's client.
func (k *consuming) PurgeTopicsFromProducing(topics ...string) {
	k.onLast(func(s *session) { s.cl.PurgeTopicsFromProducing(slices.Clone(topics)...) })
}

// PurgeTopicsFromClient is kgo's. It holds through switches.
func (k *consuming) PurgeTopicsFromClient(topics ...string) {
	k.purge(topics)
	k.onLast(func(s *session) { s.cl.PurgeTopicsFromClient(slices.Clone(topics)...) })
}

func (k *consuming) purge(topics []string) {
	if k.direct == nil {
		return
	}
	k.direct.purge(topics)
	k.forget(func(at topicPartition) bool { return slices.Contains(topics, at.topic) })
}

// ForceRebalance is kgo's, of the member on the active cluster.
func (k *consuming) ForceRebalance() {
	if s := k.c.alive(); s != nil {
		s.cl.ForceRebalance()
	}
}

// LeaveGroup is kgo's. It doesn't wait longer than the lease, and the group isn't joined on another
// cluster either.
func (k *consuming) LeaveGroup() { _ = k.LeaveGroupContext(k.c.ctx) }

// LeaveGroupContext is kgo's; see [Client.LeaveGroup].
func (k *consuming) LeaveGroupContext(ctx context.Context) error {
	k.c.mu.Lock()
	k.left = true
	k.c.mu.Unlock()
	s := k.c.alive()
	if s == nil {
		return nil
	}
	if ctx == nil { // kgo: doesn't wait
		return s.cl.LeaveGroupContext(nil) //nolint:staticcheck // kgo's way to say so
	}
	lctx, cancel := s.during(ctx)
	defer cancel()
	lctx, stop := context.WithCancel(lctx)
	defer stop()
	k.c.wg.Go(func() {
		_ = s.lease.Wait(lctx)
		stop()
	})
	err := s.cl.LeaveGroupContext(lctx)
	if err != nil && ctx.Err() == nil && s.ctx.Err() != nil {
		return nil // the switch has left it
	}
	return err
}

// GroupMetadata is kgo's: of the member on the active cluster.
func (k *consuming) GroupMetadata() (memberID string, generation int32) {
	s := k.c.alive()
	if s == nil {
		return "", -1
	}
	return s.cl.GroupMetadata()
}

func cloneLists(m map[string][]int32) map[string][]int32 {
	n := make(map[string][]int32, len(m))
	for k, v := range m {
		n[k] = slices.Clone(v)
	}
	return n
}
