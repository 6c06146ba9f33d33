package drill

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover/probe"
)

// look is the controllers' probe: does any broker answer a new client.
func look(ctx context.Context, t probe.Target) error {
	cl, err := kgo.NewClient(t.Opts...)
	if err != nil {
		return err
	}
	defer cl.Close()
	return cl.Ping(ctx)
}
