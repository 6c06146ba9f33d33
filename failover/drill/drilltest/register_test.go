package drilltest

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

func faultyBucket(t *testing.T) (*blob.Bucket, *faultbucket.Faults) {
	t.Helper()
	inner := memblob.OpenBucket(nil)
	b, faults := faultbucket.New(inner)
	t.Cleanup(func() {
		faults.Release()
		if err := errors.Join(b.Close(), inner.Close()); err != nil {
			t.Error(err)
		}
	})
	return b, faults
}

// open opens a bucket as one of a quorum's stores, or as a register.
func open(t *testing.T, b *blob.Bucket, later bool) *bucket.Register {
	t.Helper()
	r, err := bucket.Open(t.Context(), b, bucket.Config{Later: later, Timeout: time.Second, Retries: 2})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// quorumOf is a register over three buckets, the last of which is made to misbehave.
func quorumOf(misbehave func(*testing.T, *faultbucket.Faults)) func(*testing.T) register.Register {
	return func(t *testing.T) register.Register {
		t.Helper()
		var stores []register.Store
		for i := range 3 {
			b, faults := faultyBucket(t)
			if i == 2 {
				misbehave(t, faults)
			}
			stores = append(stores, open(t, b, true))
		}
		q, err := quorum.New(quorum.Config{Stores: stores, Timeout: time.Second})
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
}

// outage is a register in one bucket, where a fault hits everything for a while from the write of
// an epoch on, that one included.
func outage(epoch string, fault faultbucket.Fault) func(*testing.T) register.Register {
	return func(t *testing.T) register.Register {
		t.Helper()
		b, faults := faultyBucket(t)
		r := open(t, b, false)
		var begun time.Time
		faults.Set(func(op faultbucket.Op) faultbucket.Fault {
			if begun.IsZero() && op.Kind == faultbucket.Put && strings.HasSuffix(op.Key, epoch+".json") {
				begun = time.Now()
				time.AfterFunc(outageTime, faults.Release)
			}
			if since := time.Since(begun); since < outageTime {
				return fault
			}
			return faultbucket.None
		})
		return r
	}
}

// outageTime is longer than a lease, and its slack.
const outageTime = 3 * time.Second

// stale hides an object for a second after it was written.
func stale(_ *testing.T, faults *faultbucket.Faults) {
	var mu sync.Mutex
	written := map[string]time.Time{}
	faults.Gate(func(_ context.Context, op faultbucket.Op) error {
		mu.Lock()
		defer mu.Unlock()
		at, ok := written[op.Key]
		switch {
		case op.Kind == faultbucket.Put && !ok:
			written[op.Key] = time.Now()
		case op.Kind == faultbucket.Get && ok && time.Since(at) < time.Second:
			return errHidden
		}
		return nil
	})
}

var errHidden = errors.New("not there yet")

func slow(_ *testing.T, faults *faultbucket.Faults) {
	faults.Gate(func(ctx context.Context, _ faultbucket.Op) error {
		select {
		case <-time.After(700 * time.Millisecond):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// leases watches that the one producer sends nothing outside of its lease.
type leases struct {
	mu     sync.Mutex
	last   map[string]time.Time // by cluster: when the last read began that found it active
	writes int
	worst  time.Duration
}

// follow has a client's reads of the register noted, and its produce requests.
func (l *leases) follow(cfg *failover.Config, p *Pair) {
	cfg.Register = confirming{cfg.Register, l}
	cfg.Clusters = slices.Clone(cfg.Clusters)
	for i, c := range cfg.Clusters {
		dial := p.network.Dialer(drill.Place(c.Name))
		cfg.Clusters[i].Opts = append(slices.Clip(c.Opts), kgo.Dialer(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return &leasedConn{conn, l, c.Name}, err
		}))
	}
}

// confirming is the producer's register.
type confirming struct {
	register.Register
	l *leases
}

func (c confirming) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	begun := time.Now()
	e, err := c.Register.Get(ctx, scope, number)
	if !errors.Is(err, register.ErrNoEpoch) || number == 1 {
		return e, err
	}
	if last, lastErr := c.Register.Get(ctx, scope, number-1); lastErr == nil && last.Active != "" {
		c.l.mu.Lock()
		c.l.last[last.Active] = begun
		c.l.mu.Unlock()
	}
	return e, err
}

// leasedConn is below the client's own look at its lease.
type leasedConn struct {
	net.Conn
	l       *leases
	cluster string
}

func (c *leasedConn) Write(p []byte) (int, error) {
	if len(p) >= 6 && binary.BigEndian.Uint16(p[4:]) == uint16(kmsg.Produce) {
		c.l.mu.Lock()
		c.l.writes++
		c.l.worst = max(c.l.worst, time.Since(c.l.last[c.cluster]))
		c.l.mu.Unlock()
	}
	return c.Conn.Write(p)
}

// TestRegisterFaults drills with a register that isn't as it ought to be: of three stores one lies
// about what it keeps, ignores create-only writes, is slow, fails or is stale; or the only one
// fails in the middle of the switch. Nothing is lost, doubled or reordered, and nothing is sent
// outside of the lease.
func TestRegisterFaults(t *testing.T) {
	faults := map[string]func(*testing.T) register.Register{
		"one of three drops what it takes": quorumOf(func(_ *testing.T, f *faultbucket.Faults) { f.Set(faultbucket.On(faultbucket.Put, faultbucket.Drop)) }),
		"one of three writes over":         quorumOf(func(_ *testing.T, f *faultbucket.Faults) { f.IgnoreCreateOnly() }),
		"one of three fails":               quorumOf(func(_ *testing.T, f *faultbucket.Faults) { f.Set(faultbucket.From(1, faultbucket.Before)) }),
		"one of three fails afterwards":    quorumOf(func(_ *testing.T, f *faultbucket.Faults) { f.Set(faultbucket.On(faultbucket.Put, faultbucket.After)) }),
		"one of three is silent": quorumOf(func(_ *testing.T, f *faultbucket.Faults) {
			f.Set(func(faultbucket.Op) faultbucket.Fault { return faultbucket.Block })
		}),
		"one of three is slow":        quorumOf(slow),
		"one of three is stale":       quorumOf(stale),
		"the one fails at the close":  outage("2", faultbucket.Before),
		"it fails after the close":    outage("2", faultbucket.After),
		"it is silent from the close": outage("2", faultbucket.Block),
		"the one fails at the open":   outage("3", faultbucket.Before),
		"it fails after the open":     outage("3", faultbucket.After),
		"it is silent from the open":  outage("3", faultbucket.Block),
	}
	for _, name := range testpass.Few(t, 4, slices.Sorted(maps.Keys(faults))) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { registerFault(t, faults[name](t)) })
		})
	}
}

func registerFault(t *testing.T, reg register.Register) {
	const lease = time.Second
	l := &leases{last: map[string]time.Time{}}
	s, _ := drill.Find("primary_killed")
	s.Settle, s.Timeout = drill.Duration(500*time.Millisecond), drill.Duration(2*time.Minute)
	var pair *Pair
	var producer sync.Once
	e := drillIn(t, s, Options{
		Lease:  lease,
		Client: func(cfg *failover.Config) { producer.Do(func() { l.follow(cfg, pair) }) },
		Controller: func(cfg *control.Config) {
			d := &cfg.Switch.Deadlines // an epoch's creation is given up before the outage ends
			d.Check, d.Stop, d.Forks, d.GiveUp = 5*time.Second, 10*time.Second, 5*time.Second, 5*time.Second
		},
		Config: func(cfg *drill.Config) { cfg.Register, pair = reg, cfg.Injector.(*Pair) },
	})
	const slack = 10 * time.Millisecond // none passes from the client's look at its lease to the write
	l.mu.Lock()
	defer l.mu.Unlock()
	t.Logf("%d writes, at most %v after the read that allowed them", l.writes, l.worst)
	if l.writes < 20 || l.worst > lease+slack {
		t.Errorf("%d writes, one of them %v after the read that allowed it", l.writes, l.worst)
	}
	if len(e.Epochs) > 0 && e.Epochs[len(e.Epochs)-1].Active != "standby" {
		t.Error(e.Epochs)
	}
}
