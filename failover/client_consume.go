package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// during is a context that ends with ctx, or with the session.
func (s *session) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })
	return ctx, func() { stop(); cancel(nil) }
}

// PollFetches is kgo's. It waits through a switch; a group goes on from its committed offsets on the cluster that became active.
func (c *Client) PollFetches(ctx context.Context) kgo.Fetches { return c.PollRecords(ctx, 0) }

// PollRecords is kgo's; see [Client.PollFetches].
func (c *Client) PollRecords(ctx context.Context, maxPollRecords int) kgo.Fetches {
	if ctx == nil { // kgo: what is buffered, at once
		c.mu.Lock()
		s := c.cur
		c.mu.Unlock()
		if s == nil {
			return nil
		}
		fs := s.cl.PollRecords(nil, maxPollRecords) //nolint:staticcheck // kgo's way to say so
		s.tagAll(fs)
		c.polled(s, fs)
		return fs
	}
	for {
		s, err := c.session(ctx)
		if err != nil {
			return kgo.NewErrFetch(err)
		}
		pctx, cancel := s.during(ctx)
		fs := s.cl.PollRecords(pctx, maxPollRecords)
		ended := s.ctx.Err() != nil
		cancel()
		if ended {
			s.cl.AllowRebalance() // nobody else does: the application's next one is for the next client
			if fs = withRecords(fs); fs == nil {
				continue // where ctx has ended, that says so
			}
		}
		s.tagAll(fs)
		c.translate(ctx, s, fs)
		c.polled(s, fs)
		return fs
	}
}

// withRecords are fetches without those that hold nothing but an error, which of a client that has ended means nothing.
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
func (c *Client) AllowRebalance() {
	c.mu.Lock()
	s := c.last // a client that is being left waits for it to leave its group
	c.mu.Unlock()
	if s != nil {
		s.cl.AllowRebalance()
	}
}

// CommitRecords is kgo's. Offsets of records that were polled before a switch are carried over: as they are below the fork of an exact copy, else by [Config.Translate], and never back. For
// those that have no meaning on the active cluster nothing is committed, and the error is an *[OldEpochError] with them; the others are committed.
func (c *Client) CommitRecords(ctx context.Context, rs ...*kgo.Record) error {
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	now, moved, old := c.carried(ctx, s, rs)
	moved, err = c.ahead(ctx, s, moved)
	if err != nil && s.ctx.Err() != nil && ctx.Err() == nil {
		return c.CommitRecords(ctx, rs...)
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
			return c.CommitRecords(ctx, rs...)
		}
	}
	if len(old) > 0 {
		err = errors.Join(err, &OldEpochError{Records: old})
	}
	return err
}

// carried sorts records: those of the session, those of older ones whose offsets are carried over to it, and those that mean nothing there.
func (c *Client) carried(ctx context.Context, s *session, rs []*kgo.Record) (now, moved, old []*kgo.Record) {
	for _, r := range rs {
		from := polledIn(r)
		if from == s || from == nil && !c.switched() {
			now = append(now, r)
			continue
		}
		at, ok := c.carriedOffset(ctx, from, s, r)
		if !ok {
			old = append(old, r)
			continue
		}
		moved = append(moved, &kgo.Record{Topic: r.Topic, Partition: r.Partition, Offset: at - 1, LeaderEpoch: -1})
	}
	return now, moved, old
}

// ahead are the records that the group isn't past on the active cluster: a commit from before the switch mustn't take back what another member, or the copy, has committed since.
func (c *Client) ahead(ctx context.Context, s *session, moved []*kgo.Record) ([]*kgo.Record, error) {
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
		return nil, fmt.Errorf("failover: %s's committed offsets on %s: %w", group, s.cluster.Name, err)
	}
	return slices.DeleteFunc(moved, func(r *kgo.Record) bool {
		o, ok := there.Lookup(r.Topic, r.Partition)
		return ok && o.At > r.Offset
	}), nil
}

func (c *Client) switched() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.opened) > 1
}

// carriedOffset is the committed offset that a record of an old session means on s.
func (c *Client) carriedOffset(ctx context.Context, from, s *session, r *kgo.Record) (int64, bool) {
	at := r.Offset + 1
	if from == nil {
		return 0, false
	}
	if c.translates(from.epoch, s.epoch) {
		return c.cfg.Translate(ctx, from.cluster.Name, s.cluster.Name, r.Topic, r.Partition, at)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	there, known := c.there(from.epoch, s.epoch, topicPartition{r.Topic, r.Partition}, at)
	return at, there && known
}

// CommitUncommittedOffsets is kgo's: of what was polled on the active cluster.
func (c *Client) CommitUncommittedOffsets(ctx context.Context) error {
	return c.committing(ctx, (*kgo.Client).CommitUncommittedOffsets)
}

// MarkCommitRecords is kgo's. Records that were polled before a switch are carried over as in [Client.CommitRecords], which has the active cluster asked; [Hooks.OnOldRecords] gets those that can't be.
func (c *Client) MarkCommitRecords(rs ...*kgo.Record) {
	c.mu.Lock()
	s := c.cur
	c.mu.Unlock()
	if s == nil {
		var err error
		if s, err = c.session(c.ctx); err != nil {
			return
		}
	}
	now, moved, old := c.carried(c.ctx, s, rs)
	ctx, cancel := context.WithTimeout(c.ctx, searchRequest)
	defer cancel()
	moved, err := c.ahead(ctx, s, moved)
	if err != nil { // without a mark they come again
		c.retry("mark records of an old epoch", err)
	}
	s.cl.MarkCommitRecords(append(now, moved...)...)
	if h := c.cfg.Hooks.OnOldRecords; h != nil && len(old) > 0 {
		h(old)
	}
}

// CommitMarkedOffsets is kgo's: of what was marked on the active cluster.
func (c *Client) CommitMarkedOffsets(ctx context.Context) error {
	return c.committing(ctx, (*kgo.Client).CommitMarkedOffsets)
}

// committing commits in the current session. Where that ends meanwhile, the error says so: the records come again on the other cluster.
func (c *Client) committing(ctx context.Context, commit func(*kgo.Client, context.Context) error) error {
	return c.Do(ctx, func(ctx context.Context, cl *kgo.Client) error { return commit(cl, ctx) })
}
