package failover

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/internal/self"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/clock"
)

// Client is a Kafka client on whichever cluster is active. It follows the register: at a switch it
// stops sending, waits for the next active cluster, makes a new kgo client there, settles what was
// in doubt, and goes on. It lives from [NewClient] to [Client.Close]. Safe for concurrent use, as
// kgo's is.
type Client struct {
	cfg    Config
	cancel context.CancelFunc
	ctx    context.Context // until Close; what Kafka's own methods without a context are bound by
	wg     sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // at each change below but of the outbox, on mu
	room    sync.Cond // at those too, and where the outbox has room
	consuming
	term                     // the last that the client knows
	opened  []register.Epoch // opening epochs since the client's start
	news    []term           // not acted on yet
	cur     *session         // nil: no cluster can be written to
	last    *session         // cur, or the one before where that is nil
	fenced  bool
	quiet   bool   // kgo has answered nothing for a while, and has records
	answers uint64 // of kgo's
	closed  bool
	ids     map[string]string
	txn     *session // of the transaction that is under way
	ending  bool     // that one is being ended
	acks    acks
	box     outbox
	held    []refusal
	poke    chan struct{}  // has the register read at once
	filling chan struct{}  // has the copy asked at once
	waiting int            // for room
	marking int            // calls of MarkCommitRecords whose records have to be carried over
	before  register.Epoch // of the last session in an epoch before that of last; 0: none
	linger  func()         // ends what keeps kgo from lingering meanwhile
	flushes uint64         // that have kept it so
	report  *ClientReport  // of the last switch
	failing error          // why the active cluster can't be used
}

// NewClient returns a client once it knows who is active. The cluster needn't answer for that; one
// with another ID than is meant does end it, as a *[WrongClusterError]. Other errors: a
// *[ConfigError], before any I/O, kgo's of its options, the register's, of which a
// [register.NoScopeError] says that nobody has begun the scope.
func NewClient(ctx context.Context, cfg Config) (*Client, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	if cfg.tuning.clock == nil {
		cfg.tuning.clock = clock.From(ctx)
	}
	c := &Client{cfg: cfg, ids: make(map[string]string), poke: make(chan struct{}, 1), filling: make(chan struct{}, 1)}
	c.changed.L, c.room.L = &c.mu, &c.mu
	c.box.init()
	c.consuming = consuming{c: c, direct: directOf(append(slices.Clone(cfg.Clusters[0].AllPaths()[0]), cfg.Opts...))}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.begin(ctx); err != nil {
		c.Close()
		return nil, err
	}
	c.wg.Go(func() { c.poll(c.ctx) })
	c.wg.Go(func() { c.move(c.ctx) })
	c.wg.Go(func() { c.watch(c.ctx) })
	c.wg.Go(func() { c.listen(c.ctx) })
	c.wg.Go(func() { c.expire(c.ctx) })
	if cfg.Replay != nil {
		c.wg.Go(func() { c.confirm(c.ctx) })
	}
	return c, nil
}

// begin reads who is active, and goes there.
func (c *Client) begin(ctx context.Context) error {
	if err := c.alone(ctx); err != nil {
		return err
	}
	e, err := register.Active(ctx, c.cfg.Register, c.cfg.Scope)
	if err != nil {
		return fmt.Errorf("failover: register: %w", err)
	}
	t := c.see(e)
	if e.Closing() {
		return nil
	}
	c.look(ctx)
	s, err := c.connect(ctx, t)
	if err != nil {
		var wrong *WrongClusterError
		if errors.As(err, &wrong) || s == nil && !errors.Is(err, errAway) {
			return err
		}
		c.retry("connect", err)
		return nil // move tries again
	}
	if err := c.enter(s, nil); err != nil {
		s.close(&c.wg, err)
	}
	return nil
}

// alone begins a scope that is the client's own.
func (c *Client) alone(ctx context.Context) error {
	if !c.cfg.Alone {
		return nil
	}
	c.cfg.Register = register.NewMemory()
	_, err := register.Begin(ctx, c.cfg.Register, c.cfg.Scope, register.Epoch{Active: c.cfg.Clusters[0].Name, Lease: c.cfg.Lease, By: self.Name()})
	return err
}

func (c *Client) retry(op string, err error) {
	c.cfg.Logger.Debug("failover: again", "op", op, "err", err)
	if h := c.cfg.Hooks.OnRetry; h != nil {
		h(op, err)
	}
}

// Close ends the client, as kgo's does: records that have no answer yet get [kgo.ErrClientClosed];
// call [Client.Flush] before. Groups are left within a second.
func (c *Client) Close() { c.close(false) }

// CloseAllowingRebalance is [Client.Close]: that allows rebalances too.
func (c *Client) CloseAllowingRebalance() { c.close(true) }

func (c *Client) close(allow bool) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	s := c.cur
	c.cur = nil
	c.wake()
	c.mu.Unlock()
	if s != nil {
		if allow {
			s.cl.AllowRebalance()
		}
		c.leaveGroup(s)
	}
	c.cancel()
	if s != nil {
		s.close(&c.wg, kgo.ErrClientClosed)
	}
	c.wg.Wait()
	c.failAll(kgo.ErrClientClosed)
	c.box.promises.Wait()
}

// State is where a client stands.
type State string

// States of a client.
const (
	// ClientActive: it is on the active cluster.
	ClientActive State = "active"
	// ClientSilent: it is on the active cluster, which has answered nothing for seconds, with
	// records that wait for their acks.
	ClientSilent State = "silent"
	// ClientConnecting: a cluster is active, and can't be used yet.
	ClientConnecting State = "connecting"
	// ClientSwitching: no cluster is active.
	ClientSwitching State = "switching"
	// ClientFenced: the register hasn't confirmed the epoch within the lease.
	ClientFenced State = "fenced"
	// ClientClosed: it was closed.
	ClientClosed State = "closed"
)

// Status is where a client stands.
type Status struct {
	State State  `json:"state"`
	Scope string `json:"scope"`
	// Epoch is the last one that the client knows, Cluster the one that it is on, empty for none.
	Epoch   int64  `json:"epoch"`
	Cluster string `json:"cluster"`
	// LeaseMillis is what is left of the lease.
	LeaseMillis int64 `json:"lease_ms"`
	// Unacked records wait for their ack, Unconfirmed were acked and may have to be replayed, LetGo
	// were let go in the client's life because the buffer was full.
	Unacked     int64 `json:"unacked"`
	Unconfirmed int64 `json:"unconfirmed"`
	LetGo       int64 `json:"let_go"`
	// Unprotected is since when a record has been let go that the copy isn't known to have: were
	// the active cluster lost now, it would be lost. Zero: none is, or nothing is kept for a
	// replay.
	Unprotected time.Time `json:"unprotected_since,omitzero"`
	// Waited counts records that had to wait for room in the replay buffer, Blocked those that wait
	// now; see [Replay].Block.
	Waited  int64 `json:"waited"`
	Blocked int64 `json:"blocked"`
	// Err is why the active cluster can't be used.
	Err string `json:"error,omitempty"`
	// Last is the last switch.
	Last *ClientReport `json:"last_switch,omitempty"`
}

// Status may be called at any time.
func (c *Client) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.takeAcks()
	s := Status{Scope: c.cfg.Scope, Epoch: c.epoch.Number, Unacked: int64(c.box.unacked), Unconfirmed: int64(c.box.acked), LetGo: c.box.letGo, Unprotected: c.box.unprotected.since, Waited: c.box.waited, Blocked: c.box.blocked, LeaseMillis: c.lease.Left().Milliseconds()}
	if c.report != nil {
		last := *c.report
		s.Last = &last
	}
	if c.cur != nil {
		s.Cluster = c.cur.cluster.Name
	}
	switch {
	case c.closed:
		s.State = ClientClosed
	case c.cur != nil && c.fenced:
		s.State = ClientFenced
	case c.cur != nil && c.quiet:
		s.State = ClientSilent
	case c.cur != nil:
		s.State = ClientActive
	case c.epoch.Closing():
		s.State = ClientSwitching
	case !c.lease.Valid():
		s.State = ClientFenced
	default:
		s.State = ClientConnecting
	}
	if c.failing != nil {
		s.Err = c.failing.Error()
	}
	return s
}

// session waits for the kgo client of the active cluster.
func (c *Client) session(ctx context.Context) (*session, error) {
	stop := context.AfterFunc(ctx, c.broadcast)
	defer stop()
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		switch {
		case c.closed:
			return nil, kgo.ErrClientClosed
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case c.cur != nil:
			return c.cur, nil
		}
		c.changed.Wait()
	}
}

// committer is the session that commits are for: the last one, for as long as it may commit, also
// while it leaves its group. The callbacks of the client that leaves wait for their commits, and it
// for them. Otherwise it is the next one.
func (c *Client) committer(ctx context.Context) (*session, error) {
	if s := c.alive(); s != nil {
		return s, nil
	}
	return c.session(ctx)
}

// alive is the last session, where that hasn't ended.
func (c *Client) alive() *session {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last == nil || c.last.ctx.Err() != nil {
		return nil
	}
	return c.last
}

func (c *Client) broadcast() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wake()
}

// wake has all who wait look again; c.mu is held.
func (c *Client) wake() {
	c.ease()
	c.takeAcks()
	c.changed.Broadcast()
	c.room.Broadcast()
}
