package drilltest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

func newPair(t *testing.T) *Pair {
	t.Helper()
	p, err := NewPair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func client(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce writes n records and commits half of them for a group.
func produce(t *testing.T, p *Pair, n int) {
	t.Helper()
	cl := client(t, append(p.Opts(drill.Primary), kgo.DefaultProduceTopic("t"))...)
	for i := range n {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(cl)
	ends, err := adm.ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if err := adm.CommitAllOffsets(t.Context(), "g", ends.Offsets()); err != nil {
		t.Fatal(err)
	}
}

func standbyEnd(t *testing.T, p *Pair) (end, committed int64) {
	t.Helper()
	adm := kadm.NewClient(client(t, p.Opts(drill.Standby)...))
	ends, err := adm.ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	offsets, err := adm.FetchOffsets(t.Context(), "g")
	if err != nil {
		t.Fatal(err)
	}
	e, _ := ends.Lookup("t", 0)
	o, _ := offsets.Lookup("t", 0)
	return e.Offset, o.At
}

func startMirror(t *testing.T, p *Pair) *Mirror {
	t.Helper()
	if err := p.clusters[drill.Primary].CreateTopic("t", 1, nil); err != nil {
		t.Fatal(err)
	}
	m, err := p.Mirror(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// What Drain waits for is on the standby, committed offsets too; after Stop nothing comes, after
// Resume it does.
func TestMirror(t *testing.T) {
	p := newPair(t)
	m := startMirror(t, p)
	produce(t, p, 50)
	if err := m.Drain(t.Context(), "primary", "standby"); err != nil {
		t.Fatal(err)
	}
	if end, committed := standbyEnd(t, p); end != 50 || committed != 50 {
		t.Errorf("drained: %d records, %d committed", end, committed)
	}
	for range 2 {
		if err := m.Stop(t.Context(), "primary", "standby"); err != nil {
			t.Fatal(err)
		}
	}
	produce(t, p, 10)
	if err := m.Drain(t.Context(), "primary", "standby"); err == nil {
		t.Error("drained with no mirror")
	}
	if end, _ := standbyEnd(t, p); end != 50 {
		t.Errorf("stopped: %d records", end)
	}
	for range 2 {
		if err := m.Resume(t.Context(), "primary", "standby"); err != nil {
			t.Fatal(err)
		}
	}
	testkafka.Eventually(t, 20*time.Second, func(ctx context.Context) error { return m.Drain(ctx, "primary", "standby") })
	if end, committed := standbyEnd(t, p); end != 60 || committed != 60 {
		t.Errorf("resumed: %d records, %d committed", end, committed)
	}
	if _, err := m.Lag(t.Context(), "standby", "primary"); err == nil {
		t.Error("lag of a mirror that isn't there")
	}
}

// A mirror that can't get anything knows its lag, doesn't drain, and stops.
func TestMirrorBehind(t *testing.T) {
	p := newPair(t)
	m := startMirror(t, p)
	produce(t, p, 5)
	if err := m.Drain(t.Context(), "primary", "standby"); err != nil {
		t.Fatal(err)
	}
	f := drill.Fault{Kind: drill.Blackhole, On: drill.Mirror}
	if err := p.Inject(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	produce(t, p, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := m.Drain(ctx, "primary", "standby"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	begin := time.Now()
	if err := m.Stop(t.Context(), "primary", "standby"); err != nil || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
	if end, _ := standbyEnd(t, p); end != 5 {
		t.Errorf("%d records on the standby", end)
	}
}

// Drain waits for a mirror that knows no topic yet.
func TestMirrorDrainedAtOnce(t *testing.T) {
	p := newPair(t)
	m, err := p.mirror(mirror.Config{Topics: exactly([]string{"t"})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	if l, err := m.Lag(t.Context(), "primary", "standby"); err != nil || !l.At.IsZero() {
		t.Errorf("a lag is known of a mirror that has just started: %v %v", l, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := m.Drain(ctx, "primary", "standby"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	if err := p.clusters[drill.Primary].CreateTopic("t", 1, nil); err != nil {
		t.Fatal(err)
	}
	produce(t, p, 5)
	if err := m.Drain(t.Context(), "primary", "standby"); err != nil {
		t.Fatal(err)
	}
	if end, committed := standbyEnd(t, p); end != 5 || committed != 5 {
		t.Errorf("drained: %d records, %d committed", end, committed)
	}
}

// A broker that is lost takes no partition with it.
func TestPairBroker(t *testing.T) {
	p := newPair(t)
	if err := p.clusters[drill.Primary].CreateTopic("t", 6, nil); err != nil {
		t.Fatal(err)
	}
	cl := client(t, append(p.Opts(drill.Primary), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	write := func() {
		t.Helper()
		for i := range int32(6) {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Partition: i}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	write()
	for b := range Brokers {
		f := drill.Fault{Kind: drill.Kill, On: drill.Primary, Brokers: []int{b}}
		if err := p.Inject(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		write()
		if err := p.Heal(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	write()
}
