package testkafka

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// UncleanElection makes a partition of a three-broker cluster lose records that were committed: its
// log end goes back, in a new leader epoch. The partition must have two replicas,
// min.insync.replicas 1 and unclean.leader.election.enable false (Kafka's default), or its leader
// would be elected too early. lost is called while the follower is down: what it produces (with
// acks=all, in sync with the leader alone) is lost. All brokers run when it returns. With kfake the
// test is skipped.
func UncleanElection(t testing.TB, cl Cluster, topic string, partition int32, lost func()) {
	t.Helper()
	realCluster(t, cl)
	adm := kadm.NewClient(Client(t, cl, fresh()))
	p := twoReplicas(t, adm, topic, partition)
	leader := p.Leader
	follower := p.Replicas[slices.IndexFunc(p.Replicas, func(r int32) bool { return r != leader })]

	cl.Kill(t, follower)
	awaitPartition(t, adm, topic, partition, "only the leader is in sync", func(p kadm.PartitionDetail) bool { return slices.Equal(p.ISR, []int32{leader}) })
	lost()
	cl.Kill(t, leader)
	cl.Start(t, follower)
	awaitPartition(t, adm, topic, partition, "the follower leads", func(p kadm.PartitionDetail) bool {
		if p.Leader == follower {
			return true
		}
		set := kadm.TopicsSet{}
		set.Add(topic, partition)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, _ = adm.ElectLeaders(ctx, kadm.ElectLiveReplica, set)
		return false
	})
	cl.Start(t, leader)
	awaitPartition(t, adm, topic, partition, "both are in sync", func(p kadm.PartitionDetail) bool { return len(p.ISR) == 2 })
}

func twoReplicas(t testing.TB, adm *kadm.Client, topic string, partition int32) kadm.PartitionDetail {
	t.Helper()
	p, err := describe(t.Context(), adm, topic, partition)
	if err != nil {
		t.Fatalf("testkafka: %v", err)
	}
	if len(p.Replicas) != 2 {
		t.Fatalf("testkafka: %s/%d has %d replicas, an unclean election needs 2", topic, partition, len(p.Replicas))
	}
	return p
}

func awaitPartition(t testing.TB, adm *kadm.Client, topic string, partition int32, what string, is func(kadm.PartitionDetail) bool) {
	t.Helper()
	Eventually(t, time.Minute, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		p, err := describe(ctx, adm, topic, partition)
		if err != nil {
			return err
		}
		if !is(p) {
			return fmt.Errorf("%s/%d: not yet: %s (leader %d, in sync %v)", topic, partition, what, p.Leader, p.ISR)
		}
		return nil
	})
}
