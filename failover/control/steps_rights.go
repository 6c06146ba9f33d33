package control

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover"
)

// GrantWrites are [Rights] of given ACLs, such as those that a mirror withheld. Those that are
// there already stay as they are.
type GrantWrites struct {
	// ACLs are created on the cluster that becomes active, whatever the topics.
	ACLs []kmsg.CreateACLsRequestCreation
	// Opts are the client's options for a cluster whose ACLs it may alter. Default: the
	// [failover.Cluster]'s own.
	Opts func(cluster string) []kgo.Opt
}

// Grant implements [Rights].
func (g GrantWrites) Grant(ctx context.Context, to failover.Cluster, _ []string) error {
	cl, err := admin(ctx, to, g.Opts)
	if err != nil {
		return err
	}
	defer cl.Close()
	return createACLs(ctx, cl.Client(), g.ACLs)
}
