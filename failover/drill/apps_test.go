package drill

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// startApps runs applications on a cluster with plain clients; the function that it returns ends
// the load, and then all.
func startApps(t *testing.T, cl testkafka.Cluster, l Load) (*apps, func()) {
	t.Helper()
	a := newApps(l.withDefaults())
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopics(t.Context(), a.load.Partitions, -1, nil, a.load.Topics...); err != nil {
		t.Fatal(err)
	}
	if err := a.open(t.Context(), func(_ context.Context, _ string, opts ...kgo.Opt) (Client, error) {
		return kgo.NewClient(append(cl.Opts(), opts...)...)
	}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	ctx, cancel := context.WithCancel(t.Context())
	stop, produced, consumed := make(chan struct{}), make(chan error, 1), make(chan struct{})
	go func() { produced <- a.produce(t.Context(), stop) }()
	go func() { defer close(consumed); a.consume(ctx) }()
	return a, func() {
		t.Helper()
		close(stop)
		if err := errors.Join(<-produced, a.last(t.Context())); err != nil {
			t.Error(err)
		}
		cancel()
		<-consumed
		if err := a.survey(t.Context(), cl.Opts()); err != nil {
			t.Error(err)
		}
	}
}

// Nothing goes wrong, and nothing is counted.
func TestApps(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	a, end := startApps(t, cl, Load{Topics: []string{"a", "b"}, Producers: 2, Consumers: 2, Rate: 2000})
	if err := a.meter.until(t.Context(), "500 are consumed", func(v view) bool { return v.consumed >= 500 }); err != nil {
		t.Fatal(err)
	}
	end()
	c := a.ledger.Counts()
	want := Counts{Sent: c.Sent, Acked: c.Sent, Stored: c.Sent, Delivered: c.Sent + c.Redelivered, Redelivered: c.Redelivered}
	if diff := cmp.Diff(want, c); diff != "" || c.Sent < 500 || a.meter.acks != c.Sent {
		t.Errorf("%s\n%+v", diff, a.meter)
	}
}

// A cluster that loses the last records of a partition, and gets a copy and a forged record, is
// found out.
func TestAppsDamage(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	a, end := startApps(t, cl, Load{Partitions: 1})
	if err := a.meter.until(t.Context(), "100 are consumed", func(v view) bool { return v.consumed >= 100 }); err != nil {
		t.Fatal(err)
	}
	admin := testkafka.Client(t, cl)
	k := Key{"drill", "key-000"}
	changed, other := a.stamp.record(k, 0), a.stamp.record(k, 0)
	changed.Value[a.load.Size-1], other.Value = 'x', []byte("somebody else's")
	for _, r := range []*kgo.Record{a.stamp.record(k, 0), changed, other} {
		if err := admin.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var cut kadm.Offsets
	cut.Add(kadm.Offset{Topic: "drill", At: 10})
	if _, err := kadm.NewClient(admin).DeleteRecords(t.Context(), cut); err != nil {
		t.Fatal(err)
	}
	end()
	c := a.ledger.Counts()
	// The log's first ten records are one each of ten keys, key-000's first among them: its copy is
	// the only one now.
	want := Counts{Lost: 9, Phantom: 9, Reordered: 1, Redelivered: 1, Foreign: 2}
	if diff := cmp.Diff(want, c, cmpopts.IgnoreFields(Counts{}, "Sent", "Acked", "Stored", "Delivered", "Examples")); diff != "" {
		t.Errorf("%s\n%q", diff, c.Examples)
	}
}

func TestMeter(t *testing.T) {
	sequences := map[Key]int64{{"t", "k"}: 5}
	m := newMeter(func() map[Key]int64 { return sequences })
	now := time.Unix(0, 0)
	m.now = func() time.Time { now = now.Add(time.Second); return now }
	m.ack(&kgo.Record{Topic: "t", Offset: 6})
	m.begin()
	m.begin()
	m.ack(&kgo.Record{Topic: "t", Offset: 9})
	m.ack(&kgo.Record{Topic: "t", Partition: 1, Offset: 3})
	if m.behind() != nil {
		t.Error("behind, before a switch")
	}
	m.epoch(register.Epoch{Number: 2, From: "a", Target: "b"})
	m.epoch(register.Epoch{Number: 3, From: "a", Target: "b", Active: "a"}) // given up
	if m.behind() != nil || !m.opened.IsZero() {
		t.Error("a switch that was given up was taken for one")
	}
	m.epoch(register.Epoch{Number: 4, From: "a", Target: "b"})
	m.epoch(register.Epoch{Number: 5, From: "a", Target: "b", Active: "b", Forks: []register.Fork{{Topic: "t", Offset: 8}, {Topic: "t", Partition: 1, Offset: 4}}})
	m.consume(Key{"t", "k"}, 4)
	if !m.firstConsumed.IsZero() {
		t.Error("a record of before the switch was taken for one of the standby")
	}
	m.consume(Key{"t", "k"}, 5)
	m.ack(&kgo.Record{Topic: "t", Offset: 8})
	if diff := cmp.Diff(map[place]int64{{"t", 0}: 2, {"t", 1}: 0}, m.behind(), cmp.AllowUnexported(place{})); diff != "" {
		t.Error(diff)
	}
	if m.fault.Unix() != 2 || m.closed.Unix() != 5 || m.opened.Unix() != 6 || m.firstConsumed.Unix() != 7 || m.firstAck.Unix() != 8 || m.longest != 4*time.Second {
		t.Errorf("%+v", m)
	}
}
