package failover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// session is one kgo client: of one epoch, on one cluster. It is never moved.
type session struct {
	epoch   register.Epoch
	cluster Cluster
	cl      *kgo.Client
	lease   *lease.Lease
	seen    time.Time       // when the client saw its epoch
	ctx     context.Context // ends, with the cause, when the session does
	end     context.CancelCauseFunc
	tag     context.Context // of the records that were polled in it
	path    []kgo.Opt       // of its cluster's, that answered
	limits  limits
	grouped bool // its consumer is a member of a group
	regex   bool // and its topics are expressions

	conns     rawkafka.Conns
	acked     *marks // of what was acked last
	positions positions

	// The client's lock guards these.
	_     apart
	flush bool   // something was produced
	sent  int    // records that it was given and hasn't answered
	given uint64 // the weight of all that were given to it in flights
	taken uint64 // the weight of acks that were taken in

	_      apart
	landed atomic.Uint64 // the weight of what was acked of flights
	goal   atomic.Uint64 // given, for acks to see
	_      apart
}

// apart keeps what producers write at each record and what acks do in different cache lines.
type apart [64]byte

// limits are kgo's, which the client keeps itself.
type limits struct {
	records, bytes int64
	timeout        time.Duration // of a record's delivery; 0: none
	manual         bool          // flushing
	noAcks         bool
}

// roomy says that so much, not answered, leaves enough room to wake somebody who waits for it. At
// each record that leaves they would come for one, and batches be as small; were it much, kgo would
// run dry.
func (l *limits) roomy(records, bytes int64) bool {
	const part = 8
	return records == 0 || records <= l.records-l.records/part && bytes <= l.bytes-l.bytes/part
}

// inherit takes on what the session before has learned, where that was on the same cluster: its log
// is the same.
func (s *session) inherit(last *session) {
	if last != nil {
		s.positions.inherit(last)
	}
	if last != nil && last.cluster.Name == s.cluster.Name {
		s.acked = last.acked
		return
	}
	s.acked = &marks{by: make(map[topicPartition]*int64)}
}

// marks are offsets by partition. Most are set several times in a row. The goroutine that calls the
// session's promises has them to itself, until the session has ended.
type marks struct {
	by   map[topicPartition]*int64
	at   topicPartition
	last *int64
}

func (m *marks) set(at topicPartition, offset int64) {
	if m.last == nil || m.at != at {
		if m.by[at] == nil {
			m.by[at] = new(int64)
		}
		m.at, m.last = at, m.by[at]
	}
	*m.last = offset
}

// sessionKey is where a polled record's context has its session.
type sessionKey struct{}

var errAway = errors.New("the cluster doesn't answer")

// identifyWithin bounds the first request on each of a cluster's paths.
const identifyWithin = 3 * time.Second

// connect makes a kgo client of an epoch's cluster, through the first of its paths that answers,
// and checks that it is the right one.
func (c *Client) connect(ctx context.Context, t term) (*session, error) {
	e := t.epoch
	cluster, ok := c.cluster(e.Active)
	if !ok {
		return nil, fmt.Errorf("failover: the register names %q, which isn't one of the configured clusters", e.Active)
	}
	errs := []error{errAway}
	for _, path := range cluster.AllPaths() {
		s, err := c.open(t, cluster, path)
		if err != nil {
			return nil, err
		}
		if err = c.identify(ctx, s); err == nil {
			return s, nil
		}
		s.close(&c.wg, ErrEpochEnded)
		var wrong *WrongClusterError
		if errors.As(err, &wrong) {
			return nil, err
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("failover: %s: %w", e.Active, errors.Join(errs...))
}

func (c *Client) cluster(name string) (Cluster, bool) {
	for _, cl := range c.cfg.Clusters {
		if cl.Name == name {
			return cl, true
		}
	}
	return Cluster{}, false
}

// open makes the kgo client. Nothing is sent before it is used, but where it consumes.
func (c *Client) open(t term, cluster Cluster, path []kgo.Opt) (*session, error) {
	s := &session{epoch: t.epoch, cluster: cluster, lease: t.lease, seen: t.seen, path: path}
	s.ctx, s.end = context.WithCancelCause(c.ctx)
	s.tag = context.WithValue(context.Background(), sessionKey{}, s)
	opts := append(append([]kgo.Opt(nil), path...), c.cfg.Opts...)
	own, err := c.options(s, opts)
	if err != nil {
		s.end(err)
		return nil, err
	}
	if c.direct != nil && c.direct.regex {
		opts = append(append([]kgo.Opt(nil), path...), withoutRegex(c.cfg.Opts)...)
	}
	if s.cl, err = kgo.NewClient(append(opts, own...)...); err != nil {
		s.end(err)
		return nil, fmt.Errorf("failover: client options of %s: %w", cluster.Name, err)
	}
	return s, nil
}

// known says whether an ack tells where its record is: without acks from the brokers it doesn't.
func (s *session) known(r *kgo.Record) bool { return !s.limits.noAcks && r.Offset >= 0 }

// options are the client's own, made of the application's. Those are read from a client that never
// lives.
func (c *Client) options(s *session, opts []kgo.Opt) ([]kgo.Opt, error) {
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	probe, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithContext(dead))...)
	if err != nil {
		return nil, fmt.Errorf("failover: client options of %s: %w", s.cluster.Name, err)
	}
	defer probe.CloseAllowingRebalance()
	dial, err := lease.Dialer(probe, s.guard)
	if err != nil {
		return nil, err
	}
	records, ok := probe.OptValue(kgo.MaxBufferedRecords).(int64)
	bytes, ok2 := probe.OptValue(kgo.MaxBufferedBytes).(int64)
	partitioner, ok3 := probe.OptValue(kgo.RecordPartitioner).(kgo.Partitioner)
	if !ok || !ok2 || !ok3 {
		return nil, fmt.Errorf("failover: %w", errNoOption)
	}
	timeout, _ := probe.OptValue(kgo.RecordDeliveryTimeout).(time.Duration)
	manual, _ := probe.OptValue(kgo.ManualFlushing).(bool)
	acks, _ := probe.OptValue(kgo.RequiredAcks).(kgo.Acks)
	s.limits = limits{records, cmp.Or(bytes, math.MaxInt64), timeout, manual, acks == kgo.NoAck()}
	s.regex, _ = probe.OptValue(kgo.ConsumeRegex).(bool)
	s.grouped = c.direct == nil
	return append(c.subscription(s), []kgo.Opt{
		kgo.WithContext(s.ctx), kgo.Dialer(noting(&s.conns, dial)), kgo.DialTLSConfig(nil),
		kgo.MaxBufferedRecords(math.MaxInt32), kgo.MaxBufferedBytes(0), kgo.RecordPartitioner(pinning{partitioner}),
		kgo.RecordDeliveryTimeout(0), // it counts from the record's timestamp, which a replayed record keeps
	}...), nil
}

// guard is asked before each request is sent.
func (s *session) guard(key int16) error {
	if changes(key) && !s.lease.Valid() {
		return ErrFenced
	}
	return nil
}

// identify asks for the cluster's ID.
func (c *Client) identify(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, identifyWithin)
	defer cancel()
	got, err := rawkafka.ClusterID(ctx, s.cl)
	if err != nil {
		return fmt.Errorf("cluster ID: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	name := s.cluster.Name
	want := cmp.Or(s.epoch.ID(name), s.cluster.ID, c.ids[name])
	if want != "" && want != got {
		return &WrongClusterError{Cluster: name, Want: want, Got: got}
	}
	c.ids[name] = got
	return nil
}

// close ends the kgo client at once: what isn't answered gets an error. Its connections are cut
// first: kgo waits for what some of them read, which of a cluster that is away takes until its
// timeout. A callback of the application's that waits for a commit in the next session isn't waited
// for, for longer than that: it ends in wg's time.
func (s *session) close(wg *sync.WaitGroup, cause error) {
	s.end(cause)
	s.conns.Cut()
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		s.cl.CloseAllowingRebalance()
		s.cl.AllowRebalance() // kgo's own last poll, in its Close, blocks those that leave the group
	})
	t := time.NewTimer(leaveWithin)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		s.cl.UnsafeAbortBufferedRecords() // its Close would do so behind the callback
	}
}

// leaveWithin bounds leaving a group at the end, and closing a client whose callbacks are waited
// for.
const leaveWithin = time.Second

func (c *Client) leaveGroup(s *session) {
	ctx, cancel := context.WithTimeout(s.ctx, leaveWithin)
	defer cancel()
	c.leaveGroupWithin(ctx, s)
}

// leaveGroupWithin leaves the group, where there is one, and commits what kgo commits by itself
// then. Where the application blocks rebalances while it has polled records, it is waited for.
func (c *Client) leaveGroupWithin(ctx context.Context, s *session) {
	if member, _ := s.cl.GroupMetadata(); member == "" {
		return
	}
	if err := s.cl.LeaveGroupContext(ctx); err != nil {
		c.cfg.Logger.Debug("failover: leave the group", "cluster", s.cluster.Name, "err", err)
	}
}
