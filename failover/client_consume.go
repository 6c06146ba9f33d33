package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/quote"
)

// during is a context that ends with ctx, or with the session.
func (s *session) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// PollFetches is kgo's. It waits through a switch; a group goes on from its committed offsets on
// the cluster that became active.
func (k *consuming) PollFetches(ctx context.Context) kgo.Fetches { return k.PollRecords(ctx, 0) }

// PollRecords is kgo's; see [Client.PollFetches].
func (k *consuming) PollRecords(ctx context.Context, maxPollRecords int) kgo.Fetches {
	if ctx == nil { // kgo: what is buffered, at once
		k.c.mu.Lock()
		s := k.c.cur
		k.c.mu.Unlock()
		if s == nil {
			return nil
		}
		fs := k.direct.saying(s.cl.PollRecords(nil, maxPollRecords)) //nolint:staticcheck // kgo's way to say so
		s.tagAll(fs)
		if !k.polled(s, fs) {
			return nil
		}
		return fs
	}
	for {
		s, err := k.c.session(ctx)
		if err != nil {
			return kgo.NewErrFetch(err)
		}
		pctx, cancel := s.during(ctx)
		k.direct.polling(cancel)
		fs := s.cl.PollRecords(pctx, maxPollRecords)
		ended, woken := s.ctx.Err() != nil, pctx.Err() != nil && ctx.Err() == nil
		cancel()
		if woken && errors.Is(fs.Err0(), context.Canceled) {
			fs = nil // nobody has asked for that to end
		}
		if ended {
			s.cl.AllowRebalance() // nobody else does: the application's next one is for the next client
			if fs = withRecords(fs); fs == nil {
				continue // where ctx has ended, that says so
			}
		}
		if fs = k.direct.saying(fs); woken && len(fs) == 0 {
			continue
		}
		s.tagAll(fs)
		k.translate(ctx, s, fs)
		if !k.polled(s, fs) {
			continue
		}
		return fs
	}
}

// withRecords are fetches without those that hold nothing but an error, which of a client that has
// ended means nothing.
func withRecords(fs kgo.Fetches) kgo.Fetches {
	if fs.NumRecords() == 0 {
		return nil
	}
	return slices.DeleteFunc(fs, func(f kgo.Fetch) bool { return kgo.Fetches{f}.NumRecords() == 0 })
}

// tagAll notes in records' contexts in which session they were polled.
func (s *session) tagAll(fs kgo.Fetches) {
	fs.EachPartition(func(p kgo.FetchTopicPartition) {
		for _, r := range p.Records {
			if r.Context == nil || r.Context == context.Background() {
				r.Context = s.tag
			} else {
				r.Context = context.WithValue(r.Context, sessionKey{}, s)
			}
		}
	})
}

// polledIn is the session that a record was polled in; nil where that isn't known.
func polledIn(r *kgo.Record) *session {
	if r.Context == nil {
		return nil
	}
	s, _ := r.Context.Value(sessionKey{}).(*session)
	return s
}

// AllowRebalance is kgo's.
func (k *consuming) AllowRebalance() {
	k.c.mu.Lock()
	s := k.c.last // a client that is being left waits for it to leave its group
	k.c.mu.Unlock()
	if s != nil {
		s.cl.AllowRebalance()
	}
}

// CommitRecords is kgo's. Offsets of records that were polled before a switch are carried over: as
// they are below the fork of an exact copy, else by [Config.Translate], and never back. For those
// that have no meaning on the active cluster nothing is committed, and the error is an
// *[OldEpochError] with them; the others are committed.
//
// While a client leaves its group, as at a switch or in [Client.Close], its callbacks' commits are
// made in that group still.
//
// A record without the context that it was polled with doesn't say which cluster its offset is of.
// It is taken to be of the active one up to where this client has polled or committed there, else
// of the one before. So it is never ahead.
func (k *consuming) CommitRecords(ctx context.Context, rs ...*kgo.Record) error {
	s, err := k.c.committer(ctx)
	if err != nil {
		return err
	}
	now, moved, old := k.carried(ctx, s, rs)
	moved, err = k.ahead(ctx, s, moved)
	if err != nil && s.ctx.Err() != nil && ctx.Err() == nil {
		return k.CommitRecords(ctx, rs...)
	}
	if err != nil {
		return err
	}
	if now = append(now, moved...); len(now) > 0 {
		cctx, cancel := s.during(ctx)
		err = s.cl.CommitRecords(cctx, now...)
		ended := s.ctx.Err() != nil
		cancel()
		if err != nil && ended && ctx.Err() == nil {
			return k.CommitRecords(ctx, rs...)
		}
	}
	if len(old) > 0 {
		err = errors.Join(err, &OldEpochError{Records: old})
	}
	return err
}

// carried sorts records: those of the session, those of older ones whose offsets are carried over
// to it, and those that mean nothing there.
func (k *consuming) carried(ctx context.Context, s *session, rs []*kgo.Record) (now, moved, old []*kgo.Record) {
	for _, r := range rs {
		from := polledIn(r)
		if from == s || from == nil && k.bareIsOf(s, r) {
			now = append(now, r)
			continue
		}
		epoch := k.epochBefore()
		if from != nil {
			epoch = from.epoch
		}
		at, ok := k.carriedOffset(ctx, epoch, s, r)
		if !ok {
			old = append(old, r)
			continue
		}
		moved = append(moved, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: at - 1, LeaderEpoch: -1})
	}
	return now, moved, old
}

// ahead are the records that the group isn't past on the active cluster: a commit from before the
// switch mustn't take back what another member, or the copy, has committed since.
func (k *consuming) ahead(ctx context.Context, s *session, moved []*kgo.Record) ([]*kgo.Record, error) {
	group, _ := s.cl.OptValue(kgo.ConsumerGroup).(string)
	if len(moved) == 0 || group == "" {
		return nil, nil
	}
	var topics []string
	for _, r := range moved {
		topics = append(topics, r.Topic)
	}
	slices.Sort(topics)
	ctx, cancel := s.during(ctx)
	defer cancel()
	there, err := kadm.NewClient(s.cl).FetchOffsetsForTopics(ctx, group, slices.Compact(topics)...)
	if err == nil {
		err = there.Error()
	}
	if errors.Is(err, kerr.GroupIDNotFound) {
		return moved, nil
	}
	if err != nil {
		return nil, fmt.Errorf("failover: %s's committed offsets on %s: %w", quote.Name(group), s.cluster.Name, err)
	}
	return slices.DeleteFunc(moved, func(r *kgo.Record) bool {
		o, ok := there.Lookup(r.Topic, r.Partition)
		return ok && o.At > r.Offset
	}), nil
}

// bareIsOf says whether a record that doesn't say where it was polled is taken to be of a session:
// before any switch, or up to where the session has polled or committed.
func (k *consuming) bareIsOf(s *session, r *kgo.Record) bool {
	k.c.mu.Lock()
	end, polled := s.positions.polled[topicPartition{r.Topic, r.Partition}]
	first := k.c.before.Number == 0 || s != k.c.last
	k.c.mu.Unlock()
	if first || polled && r.Offset < end {
		return true
	}
	o, committed := s.cl.CommittedOffsets()[r.Topic][r.Partition]
	return committed && r.Offset < o.Offset
}

// epochBefore is that of the session before the last one's epoch.
func (k *consuming) epochBefore() register.Epoch {
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	return k.c.before
}

// carriedOffset is the committed offset that a record of an old session means on s.
func (k *consuming) carriedOffset(ctx context.Context, from register.Epoch, s *session, r *kgo.Record) (int64, bool) {
	at := r.Offset + 1
	if k.translates(from, s.epoch) {
		return k.c.cfg.Translate(ctx, from.Active, s.epoch.Active, r.Topic, r.Partition, at)
	}
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	there, known := k.c.there(from, s.epoch, topicPartition{r.Topic, r.Partition}, at)
	return at, there && known
}

// CommitUncommittedOffsets is kgo's: of what was polled on the active cluster.
func (k *consuming) CommitUncommittedOffsets(ctx context.Context) error {
	return k.committing(ctx, (*kgo.Client).CommitUncommittedOffsets)
}

// MarkCommitRecords is kgo's, and never waits. Records that were polled before a switch are carried
// over as in [Client.CommitRecords], once a cluster is active, which is asked for what the group
// has committed there. [Hooks.OnOldRecords] gets those that can't be. Without a mark, records come
// again.
func (k *consuming) MarkCommitRecords(rs ...*kgo.Record) {
	if s := k.c.alive(); s != nil {
		var now []*kgo.Record
		rest := rs[:0:0]
		for _, r := range rs {
			if from := polledIn(r); from == s || from == nil && k.bareIsOf(s, r) {
				now = append(now, r)
			} else {
				rest = append(rest, r)
			}
		}
		s.cl.MarkCommitRecords(now...)
		rs = rest
	}
	if len(rs) == 0 {
		return
	}
	copies := make([]*kgo.Record, len(rs)) // they are the application's
	for i, r := range rs {
		copies[i] = &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, LeaderEpoch: r.LeaderEpoch, Context: r.Context, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
	}
	k.c.mu.Lock()
	defer k.c.mu.Unlock()
	if k.c.closed {
		return
	}
	k.c.marking++
	k.c.wg.Go(func() {
		k.markCarried(copies)
		k.c.mu.Lock()
		defer k.c.mu.Unlock()
		k.c.marking--
		k.c.wake()
	})
}

// markCarried marks records once a cluster is active.
func (k *consuming) markCarried(rs []*kgo.Record) {
	s, err := k.c.session(k.c.ctx)
	if err != nil {
		return
	}
	now, moved, old := k.carried(k.c.ctx, s, rs)
	ctx, cancel := context.WithTimeout(k.c.ctx, searchRequest)
	defer cancel()
	moved, err = k.ahead(ctx, s, moved)
	if err != nil {
		k.c.retry("mark records of an old epoch", err)
	}
	s.cl.MarkCommitRecords(append(now, moved...)...)
	if h := k.c.cfg.Hooks.OnOldRecords; h != nil && len(old) > 0 {
		h(old)
	}
}

// CommitMarkedOffsets is kgo's: of what was marked on the active cluster, and was carried over to
// it.
func (k *consuming) CommitMarkedOffsets(ctx context.Context) error {
	if k.c.alive() != nil {
		k.c.mu.Lock()
		k.c.await(ctx, func() bool { return k.c.marking == 0 || k.c.cur == nil })
		k.c.mu.Unlock()
	}
	return k.committing(ctx, (*kgo.Client).CommitMarkedOffsets)
}

// committing commits in the current session. Where that ends meanwhile, the error says so: the
// records come again on the other cluster.
func (k *consuming) committing(ctx context.Context, commit func(*kgo.Client, context.Context) error) error {
	s, err := k.c.committer(ctx)
	if err != nil {
		return err
	}
	return s.do(ctx, func(ctx context.Context, cl *kgo.Client) error { return commit(cl, ctx) })
}
