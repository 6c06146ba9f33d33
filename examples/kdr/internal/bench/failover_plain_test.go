package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
)

// plain is an application with plain kgo, of default options, and the seed brokers of both
// clusters. It begins on the primary: until its first ack the standby refuses its connections.
type plain struct {
	s      *standing
	topic  string
	away   atomic.Bool
	cl     *kgo.Client
	ledger drill.Ledger
	stop   chan struct{}
	done   sync.WaitGroup

	mu       sync.Mutex
	faultAt  time.Time
	since    map[drill.Key]int64 // each key's next record when the fault came
	firstAck time.Time           // of one that was produced after the fault
	acked    chan struct{}
	failed   map[string]int
}

// plainEnd is what became of it.
type plainEnd struct {
	first  time.Duration // from the fault to the first ack on the standby; 0: none
	waited time.Duration
	counts drill.Counts
	failed map[string]int
}

const (
	plainRate = 200
	plainKeys = 20
	// plainFor is how long after a fault its first ack is waited for.
	plainFor = 10 * time.Second
)

func (s *standing) plain(topic string) *plain {
	p := &plain{s: s, topic: topic, stop: make(chan struct{}), acked: make(chan struct{}), failed: map[string]int{}}
	p.away.Store(true)
	cl, err := kgo.NewClient(append(s.opts(drill.Primary), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	s.createOn(cl, topic, 3)
	return p
}

// dial goes through the network of faults on whichever cluster has the address.
func (p *plain) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if slices.Contains(p.s.clusters[drill.Primary].Addrs(), addr) {
		return p.s.network.Dialer(drill.Primary)(ctx, network, addr)
	}
	if p.away.Load() {
		return nil, errors.New("not before the first ack")
	}
	return p.s.network.Dialer(drill.Standby)(ctx, network, addr)
}

// start returns when it produces steadily and the standby has its topic.
func (p *plain) start(m *drilltest.Mirror) {
	var err error
	seeds := append(p.s.clusters[drill.Primary].Addrs(), p.s.clusters[drill.Standby].Addrs()...)
	if p.cl, err = kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.Dialer(p.dial)); err != nil {
		p.s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(p.s.t.Context(), time.Minute)
	defer cancel()
	if err := p.cl.ProduceSync(ctx, p.record(0)).FirstErr(); err != nil {
		p.s.t.Fatal(err)
	}
	p.ledger.Note(drill.Event{Kind: drill.Acked, Key: p.key(0)})
	p.away.Store(false)
	p.done.Go(p.produce)
	for m.Status().RPO.Unknown > 0 || !slices.ContainsFunc(m.Status().Topics, copied(p.topic)) {
		if _, err := m.Lag(ctx, "primary", "standby"); err != nil {
			p.s.t.Fatal(err)
		}
		select {
		case <-ctx.Done():
			p.s.t.Fatalf("%s isn't mirrored", p.topic)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (p *plain) key(i int) drill.Key { return drill.Key{Topic: p.topic, Key: fmt.Sprint("k", i)} }

// record is a key's next.
func (p *plain) record(key int) *kgo.Record {
	k := p.key(key)
	return &kgo.Record{Topic: p.topic, Key: []byte(k.Key), Value: fmt.Append(nil, p.ledger.Next(k), " ", strings.Repeat(".", 80))}
}

func sequence(r *kgo.Record) int64 {
	digits, _, _ := strings.Cut(string(r.Value), " ")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func (p *plain) produce() {
	tick := time.NewTicker(time.Second / plainRate)
	defer tick.Stop()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // it may wait for room
		<-p.stop
		cancel()
	}()
	for i := 0; ; i++ {
		select {
		case <-p.stop:
			return
		case <-tick.C:
		}
		k := i % plainKeys
		p.cl.Produce(ctx, p.record(k), func(r *kgo.Record, err error) { p.answered(p.key(k), r, err) })
	}
}

func (p *plain) answered(k drill.Key, r *kgo.Record, err error) {
	n := sequence(r)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.failed[err.Error()]++
		return
	}
	p.ledger.Note(drill.Event{Kind: drill.Acked, Key: k, Sequence: n})
	if p.since != nil && p.firstAck.IsZero() && n >= p.since[k] {
		p.firstAck = time.Now()
		close(p.acked)
	}
}

// fault notes that it comes: what is produced from now on can be acked by the standby alone.
func (p *plain) fault() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.since != nil {
		return
	}
	p.faultAt, p.since = time.Now(), map[drill.Key]int64{}
	for i := range plainKeys {
		p.since[p.key(i)] = p.ledger.Next(p.key(i)) + 1 // that one is never produced
	}
}

// finish waits for the first ack, and a moment more, ends the application and reads what the
// standby has.
func (p *plain) finish(ctx context.Context) *plainEnd {
	timeout := time.NewTimer(time.Until(p.faultAt.Add(plainFor)))
	defer timeout.Stop()
	select {
	case <-p.acked:
		timeout.Reset(time.Second) // what follows it, and fails
		<-timeout.C
	case <-timeout.C:
	}
	close(p.stop)
	p.done.Wait()
	flush, cancel := context.WithTimeout(ctx, 2*time.Second)
	_ = p.cl.Flush(flush)
	cancel()
	p.cl.Close()
	p.survey(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &plainEnd{waited: time.Since(p.faultAt), counts: p.ledger.Counts(), failed: p.failed}
	if !p.firstAck.IsZero() {
		e.first = p.firstAck.Sub(p.faultAt)
	}
	return e
}

// survey reads what the standby has of the topic.
func (p *plain) survey(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	ends, offsets := p.s.ends(ctx, drill.Standby, p.topic)
	cl, err := kgo.NewClient(append(p.s.clusters[drill.Standby].Opts(), kgo.ConsumePartitions(offsets))...)
	if err != nil {
		p.s.t.Fatal(err)
	}
	defer cl.Close()
	for len(ends) > 0 {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			p.s.t.Errorf("%s on the standby: %v", p.topic, err)
			return
		}
		fs.EachRecord(func(r *kgo.Record) {
			p.ledger.Note(drill.Event{Kind: drill.Stored, Key: drill.Key{Topic: p.topic, Key: string(r.Key)}, Sequence: sequence(r), Partition: r.Partition})
			if r.Offset >= ends[r.Partition]-1 {
				delete(ends, r.Partition)
			}
		})
	}
}
