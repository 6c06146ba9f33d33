package brokerconn

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// DialFunc is what [kgo.Dialer] takes.
type DialFunc = func(ctx context.Context, network, host string) (net.Conn, error)

const (
	// again is how long an address isn't dialed after a wrong answer.
	again = time.Second
	// settle is how long no right answer has come until wrong ones count for the whole cluster:
	// others of its brokers may be right.
	settle = 2 * time.Second
	// unreachable is how long an advertised address can't be reached until that is told.
	unreachable = 5 * time.Second
	// probeTimeout bounds the guard's own request where the connection has no write deadline.
	probeTimeout = 10 * time.Second
)

// Config is what a Guard needs. The zero value is the default. The functions must be safe for
// concurrent use, and quick.
type Config struct {
	// ClusterID is the ID of the cluster that is meant. Default: that of the first answer.
	ClusterID string
	// ClientID is the client.id of the guard's own requests.
	ClientID string
	// OnWrong is called when another cluster has answered at an address, once until the right one
	// does.
	OnWrong func(*WrongClusterError)
	// OnRight is called when the right cluster answers where OnWrong was called.
	OnRight func(addr string)
	// OnUnknown is called where a broker tells no cluster ID and none is known: nothing can be
	// excluded.
	OnUnknown func(addr string)
	// OnUnreachable is called when a broker couldn't be reached for 5 s at the address that it
	// advertises, once until it could.
	OnUnreachable func(*UnreachableError)
}

// Guard knows the cluster that a client's connections have to lead to. Safe for concurrent use.
type Guard struct {
	cfg     Config
	started time.Time
	heard   atomic.Int64 // when the right cluster answered last, since started; 0: never

	mu         sync.Mutex
	want       string
	seeds      []string             // of the latest client
	wrong      map[string]exclusion // by address
	last       *WrongClusterError   // the latest
	at         time.Duration        // of last
	advertised map[string]int32     // broker IDs by address, of the latest Metadata answer
	failing    map[string]*failing  // advertised addresses that can't be dialed
}

// exclusion is an address where another cluster has answered.
type exclusion struct {
	err   *WrongClusterError
	until time.Duration
}

// failing is an address that couldn't be dialed since a time.
type failing struct {
	since time.Duration
	told  bool
}

// New returns a Guard.
func New(cfg Config) *Guard {
	return &Guard{
		cfg: cfg, started: time.Now(), want: cfg.ClusterID,
		wrong: make(map[string]exclusion), failing: make(map[string]*failing),
	}
}

func (g *Guard) now() time.Duration { return time.Since(g.started) + 1 } // never 0

// ID is the ID of the cluster that is meant; empty while it isn't known.
func (g *Guard) ID() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.want
}

// Wrong is the latest answer of another cluster if the right one hasn't answered since, at any
// address, and how long it hasn't. It is nil for the first two seconds of that.
func (g *Guard) Wrong() (*WrongClusterError, time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	heard := time.Duration(g.heard.Load())
	if g.last == nil || heard > g.at {
		return nil, 0
	}
	if silent := g.now() - heard; silent >= settle {
		return g.last, silent
	}
	return nil, 0
}

// Strangers are the addresses where another cluster has answered, and the right one hasn't since,
// with the answers.
func (g *Guard) Strangers() []*WrongClusterError {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []*WrongClusterError
	for _, addr := range slices.Sorted(maps.Keys(g.wrong)) {
		all = append(all, g.wrong[addr].err)
	}
	return all
}

// hear notes that a connection that leads to the right cluster answers.
func (g *Guard) hear() { g.heard.Store(int64(g.now())) }

// judge takes in what an answer at an address says. first says that it is the first of its
// connection: it has to tell the cluster ID.
func (g *Guard) judge(addr string, a answer, first bool) error {
	g.mu.Lock()
	if a.clusterID == "" && (!first || g.want == "") {
		g.mu.Unlock()
		if first && g.cfg.OnUnknown != nil {
			g.cfg.OnUnknown(addr)
		}
		return nil
	}
	if g.want == "" {
		g.want = a.clusterID
	}
	if a.clusterID != g.want {
		wrong := &WrongClusterError{Want: g.want, Got: a.clusterID, Addr: addr}
		_, known := g.wrong[addr]
		g.last, g.at = wrong, g.now()
		g.wrong[addr] = exclusion{wrong, g.at + again}
		g.mu.Unlock()
		if !known && g.cfg.OnWrong != nil {
			g.cfg.OnWrong(wrong)
		}
		return netError(addr, wrong)
	}
	_, known := g.wrong[addr]
	delete(g.wrong, addr)
	if len(a.brokers) > 0 {
		g.advertised = a.brokers
	}
	g.hear()
	g.mu.Unlock()
	if known && g.cfg.OnRight != nil {
		g.cfg.OnRight(addr)
	}
	return nil
}

// excluded is the wrong answer of an address that isn't to be dialed yet.
func (g *Guard) excluded(addr string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if x, ok := g.wrong[addr]; ok && g.now() < x.until {
		return netError(addr, x.err)
	}
	return nil
}

// Dialer is how a client dials, with the guard above: above TLS too, if dial speaks it.
func (g *Guard) Dialer(dial DialFunc) DialFunc {
	return func(ctx context.Context, network, host string) (net.Conn, error) {
		if err := g.excluded(host); err != nil {
			return nil, err
		}
		slow := time.AfterFunc(unreachable, func() { _ = g.failed(host, errSlow) })
		c, err := dial(ctx, network, host)
		slow.Stop()
		if err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			return nil, g.failed(host, err)
		}
		g.reached(host)
		return g.Conn(c, host), nil
	}
}

var errSlow = errors.New("no connection within 5 s")

// failed notes that an address couldn't be dialed. Its error is typed where it is one that a broker
// advertises, and others have answered.
func (g *Guard) failed(addr string, err error) error {
	g.mu.Lock()
	id, ok := g.advertised[addr]
	if !ok {
		g.mu.Unlock()
		return err
	}
	f := g.failing[addr]
	if f == nil {
		f = &failing{since: g.now()}
		g.failing[addr] = f
	}
	tell := !f.told && (errors.Is(err, errSlow) || g.now()-f.since >= unreachable)
	f.told = f.told || tell
	seeds := g.seeds
	g.mu.Unlock()
	away := &UnreachableError{Broker: id, Addr: addr, Seeds: seeds, Err: err}
	if tell && g.cfg.OnUnreachable != nil {
		g.cfg.OnUnreachable(away)
	}
	return away
}

func (g *Guard) reached(addr string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.failing, addr)
}
