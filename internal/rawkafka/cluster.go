package rawkafka

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/brokerconn"
	"github.com/kafkadr/kafkadr/internal/quote"
)

// Config is how a Cluster is used. The zero value is the default.
type Config struct {
	// ClientID is the client.id of all requests. Default "kafkadr".
	ClientID string
	// RequestTimeout is each request's deadline. Default 30 s.
	RequestTimeout time.Duration
	// RetryFor is how long moved leaders, lost connections and the like are
	// followed before their error is returned. Default 1 min.
	RetryFor time.Duration
	// Logger takes retries. Default: nothing is logged.
	Logger *slog.Logger
	// OnRetry is called before a request is tried again. It must be safe for
	// concurrent use.
	OnRetry func(op string, err error)
	// ClusterID is the ID that the cluster must have. Default: that of the first answer.
	ClusterID string
	// OnWrong is called when another cluster has answered at an address, once until the right one
	// does, and OnRight then. OnUnreachable is called when a broker couldn't be reached for 5 s at
	// the address that it advertises, once until it could. They must be safe for concurrent use.
	// Default: Logger says it.
	OnWrong       func(*WrongClusterError)
	OnRight       func(addr string)
	OnUnreachable func(*UnreachableError)
}

func (c Config) withDefaults() Config {
	if c.ClientID == "" {
		c.ClientID = "kafkadr"
	}
	if c.RequestTimeout <= 0 {
		c.RequestTimeout = 30 * time.Second
	}
	if c.RetryFor <= 0 {
		c.RetryFor = time.Minute
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Partition names a partition of one incarnation of a topic, with its name.
type Partition struct {
	Topic     string
	TopicID   kadm.TopicID
	Partition int32
}

// String is the topic's name as [quote.Name] prints it, a slash, and the partition.
func (p Partition) String() string { return quote.Name(p.Topic) + "/" + strconv.Itoa(int(p.Partition)) }

// Isolation levels and special offsets and replica IDs of the protocol.
const (
	ReadUncommitted int8  = 0
	ReadCommitted   int8  = 1
	Latest          int64 = -1
	Earliest        int64 = -2
	Consumer        int32 = -1 // the high watermark, or the last stable offset
	Debug           int32 = -2 // the leader's true log end
)

// Cluster is a connection to a Kafka cluster. Each of its connections to brokers leads to that
// cluster, or fails with a *[WrongClusterError]. Safe for concurrent use.
type Cluster struct {
	cfg Config
	*connection
}

// connection is what clusters of different patience share.
type connection struct {
	cl   *kgo.Client
	adm  *kadm.Client
	open *openHook
	id   string

	guard *brokerconn.Guard

	refresh chan struct{} // holds a token while nobody refreshes leaders

	mu       sync.Mutex
	nodes    []int32 // the brokers of the last metadata
	answered int32   // the broker that answered Anyone last, but kgo's choice
	leaders  map[Partition]leader
	wanted   map[string]struct{} // topics whose leaders somebody waits for
}

// Connect connects and learns the cluster ID; wrong addresses and credentials
// are found here, within RequestTimeout. The caller's opts come first,
// Cluster's own last. Errors are a *[ConnectError], or ctx's. Close it when
// done.
func Connect(ctx context.Context, opts []kgo.Opt, cfg Config) (*Cluster, error) {
	cfg = cfg.withDefaults()
	var login loginHook
	open := &openHook{}
	own := []kgo.Opt{kgo.ClientID(cfg.ClientID), kgo.RetryTimeout(cfg.RequestTimeout), kgo.WithHooks(&login, open)}
	guard := newGuard(cfg)
	all, err := guard.Opts(append(append([]kgo.Opt(nil), opts...), own...))
	if err != nil {
		return nil, &ConnectError{Kind: BadConfig, Err: err}
	}
	cl, err := kgo.NewClient(all...)
	if err != nil {
		return nil, &ConnectError{Kind: BadConfig, Err: err}
	}
	c := Over(cl, cfg)
	c.open, c.guard = open, guard
	ictx, cancel := context.WithTimeoutCause(ctx, cfg.RequestTimeout, errDeadline)
	defer cancel()
	if c.id, err = ClusterID(ictx, cl); err != nil {
		seeds, _ := cl.OptValue(kgo.SeedBrokers).([]string)
		c.Close()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if wrong := guard.Strangers(); len(wrong) > 0 {
			err = wrong[0]
		}
		kind := kindOf(err)
		if login.failed.Load() && kind == Unreachable {
			kind = Credentials // some brokers hang up on a wrong password
		}
		return nil, &ConnectError{Kind: kind, Brokers: seeds, Err: err}
	}
	return c, nil
}

// Over is a Cluster on a client that stays the caller's: its connections lead where the caller's
// options let them, and its ID isn't known. It isn't closed.
func Over(cl *kgo.Client, cfg Config) *Cluster {
	cfg = cfg.withDefaults()
	c := &Cluster{cfg: cfg, connection: &connection{
		cl: cl, adm: kadm.NewClient(cl), open: &openHook{}, guard: newGuard(cfg),
		refresh: make(chan struct{}, 1),
		leaders: make(map[Partition]leader),
		wanted:  make(map[string]struct{}),
	}}
	c.refresh <- struct{}{}
	return c
}

// ClusterID asks for a cluster's ID: one broker after another, as kgo sees fit, and one more each
// second, which is the next seed. Of a broker that stands still kgo waits for an answer until its
// timeout, so that two of three would take more time than there is. Each of them is asked through
// kgo, so that it knows the cluster's brokers afterwards. It returns when the context ends, which
// kgo's dials outlive.
func ClusterID(ctx context.Context, cl *kgo.Client) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	usual, found := make(chan error, 1), make(chan string, 1)
	ask := func() error {
		req := kmsg.NewPtrMetadataRequest()
		req.Topics = []kmsg.MetadataRequestTopic{}
		resp, err := req.RequestWith(ctx, cl)
		id, err := idOf(resp, err)
		if err == nil {
			select {
			case found <- id:
			default:
			}
		}
		return err
	}
	go func() { usual <- ask() }()
	more := len(cl.SeedBrokers())
	hedge := time.NewTicker(hedgeEvery)
	defer hedge.Stop()
	for {
		select {
		case id := <-found:
			return id, nil
		case err := <-usual:
			if err != nil {
				return "", err
			}
		case <-hedge.C:
			if more > 0 {
				more--
				go func() { _ = ask() }()
			}
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
}

// hedgeEvery is how long those that were asked have to themselves: what is only slow isn't to be
// slowed down by logins to all of them at once.
const hedgeEvery = time.Second

func idOf(resp *kmsg.MetadataResponse, err error) (string, error) {
	if err != nil {
		return "", err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return "", err
	}
	if resp.ClusterID == nil || *resp.ClusterID == "" {
		return "", errNoClusterID
	}
	return *resp.ClusterID, nil
}

// loginHook notes whether a broker broke a login off.
type loginHook struct{ failed atomic.Bool }

// OnBrokerRead implements kgo.HookBrokerRead.
func (h *loginHook) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	if err != nil && key == int16(kmsg.SASLAuthenticate) {
		h.failed.Store(true)
	}
}

// Patient is the same connection with another Config.RetryFor. It isn't closed
// by itself.
func (c *Cluster) Patient(retryFor time.Duration) *Cluster {
	cfg := c.cfg
	cfg.RetryFor = retryFor
	return &Cluster{cfg: cfg, connection: c.connection}
}

// goodbye is how long kgo has to take its leave, until its connections are cut.
const goodbye = 100 * time.Millisecond

// Close ends all connections, soon also where the cluster is away.
func (c *Cluster) Close() {
	t := time.AfterFunc(goodbye, c.open.Cut)
	defer t.Stop()
	c.cl.Close()
}

// ID is the cluster ID.
func (c *Cluster) ID() string { return c.id }

// Client is the client beneath, for requests that need no leader.
func (c *Cluster) Client() *kgo.Client { return c.cl }

// Admin is a kadm client on Client.
func (c *Cluster) Admin() *kadm.Client { return c.adm }

// Request sends one request to one broker, once, with the deadline of the
// configuration. A broker that isn't known, or no more, is [ErrUnknownBroker].
func (c *Cluster) Request(ctx context.Context, broker int32, req kmsg.Request) (kmsg.Response, error) {
	dctx, cancel := context.WithTimeoutCause(ctx, c.cfg.RequestTimeout, errDeadline)
	defer cancel()
	resp, err := c.cl.Broker(int(broker)).Request(dctx, req)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case dctx.Err() != nil:
		return nil, errDeadline
	case err.Error() == "unknown broker": // kgo doesn't export it
		return nil, ErrUnknownBroker
	}
	return nil, err
}

// retrying notes that op is tried again because of err.
func (c *Cluster) retrying(op string, err error) {
	c.cfg.Logger.Debug("retrying", "op", op, "err", err)
	if c.cfg.OnRetry != nil {
		c.cfg.OnRetry(op, err)
	}
}
