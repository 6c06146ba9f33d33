package control

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pair is two fakes with a topic each of two partitions, the standby's with n records in partition
// 0.
func pair(t *testing.T, n int) (a, b testkafka.Cluster, clusters []failover.Cluster) {
	t.Helper()
	a, b = testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	for _, cl := range []testkafka.Cluster{a, b} {
		if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopic(t.Context(), 2, 1, nil, "orders"); err != nil {
			t.Fatal(err)
		}
	}
	cl := testkafka.Client(t, b, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for range n {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return a, b, []failover.Cluster{{Name: "a", Opts: a.Opts(), ID: a.ID()}, {Name: "b", Opts: b.Opts(), ID: b.ID()}}
}

func TestSwitchOnKafka(t *testing.T) {
	a, b, clusters := pair(t, 3)
	clusters[1].Opts, clusters[1].Paths = []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, [][]kgo.Opt{b.Opts()}
	reg := register.NewMemory()
	cfg := Config{Clusters: clusters, Register: reg, Lease: 1}
	begin(t, cfg)
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Plan(t.Context(), "b", Failover); err != nil {
		t.Fatal(err)
	}
	a.Kill(t, 0)
	p, err := c.Plan(t.Context(), "b", Failover)
	if err != nil {
		t.Fatal(err)
	}
	report, err := p.Run(t.Context())
	if err != nil {
		t.Fatal(err, p)
	}
	want := []register.Fork{{Topic: "orders", Offset: 3}, {Topic: "orders", Partition: 1}}
	if diff := cmp.Diff(want, report.Forks); diff != "" {
		t.Error(diff)
	}
	last, err := register.Latest(t.Context(), reg, "default")
	if err != nil || last.Active != "b" || last.ActiveID != b.ID() {
		t.Error(last, err)
	}
}
