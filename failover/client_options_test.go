package failover

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClusterOptions gives clusters options that are the application's: they are refused, by name, before any I/O.
func TestClusterOptions(t *testing.T) {
	cluster := func(opts ...kgo.Opt) Cluster {
		return Cluster{Name: "a", Opts: append([]kgo.Opt{kgo.SeedBrokers("127.0.0.1:1"), kgo.ClientID("x"), kgo.ProducerLinger(1)}, opts...)}
	}
	for name, opts := range map[string][]kgo.Opt{
		"WithHooks": {kgo.WithHooks(addsHeader{})}, "ConsumerGroup": {kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t")}, "ConsumeTopics": {kgo.ConsumeTopics("t")},
		"ConsumePartitions": {kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset()}})}, "TransactionalID": {kgo.TransactionalID("x")},
		"InstanceID": {kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.InstanceID("i")},
	} {
		_, err := Config{Clusters: []Cluster{cluster(opts...)}}.complete()
		var faults *ConfigError
		if !errors.As(err, &faults) || !strings.Contains(err.Error(), "Clusters[0] has kgo."+name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
	cl := cluster()
	cl.Paths = [][]kgo.Opt{{kgo.SeedBrokers("127.0.0.1:1")}, {kgo.SeedBrokers("127.0.0.1:1"), kgo.WithHooks(addsHeader{})}}
	if _, err := (Config{Clusters: []Cluster{cl}}).complete(); err == nil {
		t.Error("hooks of a further path are taken")
	}
	if _, err := (Config{Clusters: []Cluster{cluster()}, Opts: []kgo.Opt{kgo.WithHooks(addsHeader{}), kgo.ConsumerGroup("g")}}).complete(); err != nil {
		t.Error(err)
	}
}
