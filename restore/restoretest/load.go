package restoretest

import (
	"context"
	"io/fs"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
)

// TB is what this package needs of a [testing.TB].
type TB interface {
	Helper()
	Cleanup(func())
	Context() context.Context
	Fatalf(format string, args ...any)
}

// Load restores the newest snapshot of an archive, groups included, into a new in-process cluster,
// and returns its addresses, for [kgo.SeedBrokers]. The cluster has three brokers and is gone when
// the test ends. Any fault is the test's end.
func Load(t TB, fsys fs.FS) []string {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatalf("restoretest: start a cluster: %v", err)
	}
	t.Cleanup(c.Close)
	LoadInto(t, fsys, kgo.SeedBrokers(c.ListenAddrs()...))
	return c.ListenAddrs()
}

// LoadInto restores the newest snapshot of an archive, groups included, into the cluster that opts
// lead to. Where that has fewer brokers than topics had replicas, they get one each.
func LoadInto(t TB, fsys fs.FS, opts ...kgo.Opt) {
	t.Helper()
	ctx := t.Context()
	a, err := storage.OpenFS(fsys)
	if err != nil {
		t.Fatalf("restoretest: %v", err)
	}
	s, err := a.Latest(ctx, nil)
	if err != nil {
		t.Fatalf("restoretest: %v", err)
	}
	cfg := restore.Config{Target: opts, Snapshot: s, Groups: true}
	plan, err := restore.NewPlan(ctx, cfg)
	if err == nil && tooFewBrokers(plan) {
		cfg.ReplicationFactor = 1
		plan, err = restore.NewPlan(ctx, cfg)
	}
	if err != nil {
		t.Fatalf("restoretest: %v", err)
	}
	if _, err := plan.Run(ctx); err != nil {
		t.Fatalf("restoretest: %v", err)
	}
}

func tooFewBrokers(p *restore.Plan) bool {
	for _, c := range p.Conflicts {
		if c.Kind == "replication_factor" {
			return true
		}
	}
	return false
}
