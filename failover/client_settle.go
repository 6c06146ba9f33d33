package failover

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
)

// unsettled is what a switch has to decide: nobody adds to it meanwhile.
type unsettled struct {
	doubtful []doubt  // may be on the active cluster: their content says so
	again    []*entry // to be produced there, in order
	covered  []*entry // there
	report   ClientReport
}

// doubt is an entry that is looked for while its promise may be called, because of its context: the
// record is the search's.
type doubt struct {
	*entry
	rec *kgo.Record
}

// settle finds out which records the session's cluster has, answers for those, produces the others
// there by policy, and makes the session the current one. An error changes nothing.
func (c *Client) settle(ctx context.Context, s *session) error {
	u := c.sort(s)
	f, err := c.search(ctx, s, u.doubtful)
	if err != nil {
		return fmt.Errorf("failover: look for records in doubt on %s: %w", s.cluster.Name, err)
	}
	c.unsearched(s, f, &u.report)
	var answers []func()
	c.mu.Lock()
	if c.epoch.Number != s.epoch.Number || c.closed {
		c.mu.Unlock()
		return ErrEpochEnded
	}
	for _, e := range u.covered {
		c.box.remove(e)
	}
	produce := make(map[*entry]bool, len(u.again))
	for _, e := range u.again {
		produce[e] = true
	}
	for _, d := range u.doubtful {
		if answer := c.resolve(s, d.entry, f, &u.report); answer != nil {
			answers = append(answers, answer)
		} else if d.in != nil {
			produce[d.entry] = true
		}
	}
	var order []*entry
	for _, e := range c.box.all() {
		if produce[e] {
			order = append(order, e)
		}
	}
	c.mu.Unlock()
	for _, answer := range answers { // before anything later of their partitions is acked
		answer()
	}
	if err := c.enter(s, order); err != nil {
		c.concluded(u.report)
		return err
	}
	c.told(s, u.report)
	return nil
}

// sort says of each record what is known without a look at the cluster.
func (c *Client) sort(s *session) *unsettled {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := &unsettled{}
	if c.report != nil {
		u.report = *c.report
	}
	for _, e := range c.box.all() {
		switch {
		case e.gone:
			c.box.remove(e)
		case e.txn:
		case e.acked && e.session.cluster.Name == s.cluster.Name && !c.crossed(e.session.epoch, s.epoch):
		case e.acked:
			at := topicPartition{e.rec.Topic, e.rec.Partition}
			switch there, known := c.there(e.session.epoch, s.epoch, at, e.rec.Offset+1); {
			case !known || c.cfg.Translate != nil: // offsets say nothing
				u.doubtful = append(u.doubtful, doubt{e, e.rec})
			case there:
				u.report.Covered++
				u.covered = append(u.covered, e)
			default:
				u.report.Replayed++
				u.again = append(u.again, e)
			}
		case e.answered: // a replay that was cut off
			u.doubtful = append(u.doubtful, doubt{e, e.rec})
		case e.rec.Partition < 0: // kgo hasn't even chosen a partition: it was never sent
			u.again = append(u.again, e)
		default:
			u.report.InDoubt++
			u.doubtful = append(u.doubtful, doubt{e, e.content()})
		}
	}
	return u
}

// unsearched says which partitions could not be read: their records follow the policy, and hold up
// nothing else.
func (c *Client) unsearched(s *session, f *findings, report *ClientReport) {
	const most = 100
	if len(f.unsearched) == 0 {
		return
	}
	names := f.names()
	report.UnsearchedPartitions = names[:min(len(names), most)]
	c.cfg.Logger.Warn("failover: records in doubt can't be looked for", "cluster", s.cluster.Name, "partitions", len(names), "first", names[0], "policy", c.cfg.InDoubt)
}

// resolve decides on a record that was looked for. What it returns calls its promise; nil: it is to
// be produced, where it is still in the box. c.mu is held.
func (c *Client) resolve(s *session, e *entry, f *findings, report *ClientReport) func() {
	at, ok := f.found[e]
	var err error
	if _, unknown := f.unsearched[topicPartition{e.rec.Topic, e.rec.Partition}]; unknown && !ok && !e.gone {
		report.Unsearched++
	}
	switch {
	case e.gone: // meanwhile
		report.InDoubt--
		c.box.remove(e)
		return nil
	case ok:
		if e.answered {
			report.Covered++
		} else {
			report.Found++
		}
		e.rec.Offset = at
		if c.cfg.Replay != nil {
			return c.keepFound(s, e)
		}
	case e.answered: // it was acked: nobody would know that it was dropped
		report.Replayed++
		return nil
	case c.cfg.InDoubt == Drop:
		report.Dropped++
		err = ErrInDoubt
	case c.cfg.InDoubt == HandBack:
		report.HandedBack++
		err = &InDoubtError{Record: e.orig, From: e.session.cluster.Name, Epoch: e.session.epoch.Number}
	default:
		report.Resent++
		return nil
	}
	return c.conclude(e, err)
}

// keepFound keeps a record for a replay that was found on a session's cluster, as one that was
// acked there: the copy may not have it. What it returns calls its promise, if that wasn't called
// before. c.mu is held.
func (c *Client) keepFound(s *session, e *entry) func() {
	e.session = s
	if !e.acked {
		c.box.keep(e)
	}
	promise, orig := e.promise, e.orig
	if !e.answer() {
		return func() {}
	}
	e.detach()
	return func() { promise(orig, nil) }
}

// conclude takes an entry out and returns what calls its promise; c.mu is held.
func (c *Client) conclude(e *entry, err error) func() {
	c.box.remove(e)
	if !e.answer() {
		return nil
	}
	return func() { c.call(e, true, err) }
}

// abortTransaction answers for the records of a transaction that the switch has cut off; c.mu is
// held.
func (c *Client) abortTransaction() (answers []func()) {
	for _, e := range c.box.all() {
		if e.txn {
			if c.report != nil {
				c.report.Aborted++
			}
			answers = append(answers, c.conclude(e, ErrEpochEnded))
		}
	}
	return answers
}

// unack makes records ones that have no ack, bound to their partitions; c.mu is held.
func (c *Client) unack(es []*entry) {
	for _, e := range es {
		if e.rec.Partition >= 0 {
			e.pinned = e.rec.Partition
		}
	}
	c.box.unkeep(es)
}

// concluded notes what a switch has settled that another one has overtaken. What was to be produced
// is settled by that one.
func (c *Client) concluded(r ClientReport) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.report == nil {
		return
	}
	r.InDoubt -= r.Resent - c.report.Resent
	r.Resent, r.Replayed, r.Epoch, r.FirstAckMillis, r.Redelivered = c.report.Resent, c.report.Replayed, c.report.Epoch, c.report.FirstAckMillis, c.report.Redelivered
	c.report = &r
}

// told notes and tells the client's part of the switch.
func (c *Client) told(s *session, r ClientReport) {
	c.mu.Lock()
	r.Scope, r.To, r.Epoch, r.LetGo = c.cfg.Scope, s.cluster.Name, s.epoch.Number, c.box.letGo
	r.Opened, r.Ready = s.seen, time.Now()
	if r.Closed.IsZero() { // it has never been anywhere before
		c.mu.Unlock()
		return
	}
	if c.report != nil && c.report.Epoch == r.Epoch { // the session is in use already
		r.FirstAckMillis, r.Redelivered = c.report.FirstAckMillis, c.report.Redelivered
	}
	kept := r // the first ack is noted in it
	c.report = &kept
	c.mu.Unlock()
	c.cfg.Logger.Info("failover: switched", "report", r.String())
	if h := c.cfg.Hooks.OnSwitch; h != nil {
		h(r)
	}
}

// crossed says whether another cluster was active between two epochs; c.mu is held.
func (c *Client) crossed(from, to register.Epoch) bool {
	return slices.ContainsFunc(c.opened, func(e register.Epoch) bool {
		return e.Number > from.Number && e.Number <= to.Number && e.Active != from.Active
	})
}

// there says whether what lies below an offset of one epoch's cluster is at the same offsets on
// another's; known is false where an epoch in between doesn't tell. c.mu is held.
func (c *Client) there(from, to register.Epoch, at topicPartition, end int64) (there, known bool) {
	below, known := c.below(from, to, at, end)
	return known && below == end, known
}

// below is how much of what lies below an offset of one epoch's cluster is at the same offsets on
// another's: the end of that. c.mu is held.
func (c *Client) below(from, to register.Epoch, at topicPartition, end int64) (below int64, known bool) {
	active := from.Active
	for i := range c.opened {
		e := &c.opened[i]
		if e.Number <= from.Number || e.Number > to.Number || e.Active == active {
			continue
		}
		active = e.Active
		fork, ok := e.Fork(at.topic, at.partition)
		if !ok {
			return 0, false
		}
		end = min(end, fork)
	}
	return end, true
}
