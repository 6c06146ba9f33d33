package rawkafka

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Unthrottled does something until no quota of the cluster's holds it back (THROTTLING_QUOTA_EXCEEDED, as controller_mutation_rate of creating and deleting topics
// and partitions): that passes by itself, however long it takes. Other errors, and ctx's, are returned. op names it for Config.OnRetry.
func (c *Cluster) Unthrottled(ctx context.Context, op string, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || !errors.Is(err, kerr.ThrottlingQuotaExceeded) {
			return err
		}
		c.retrying(op, err)
		if err := Sleep(ctx, Backoff(n)); err != nil {
			return err
		}
	}
}

// ScramUsers asks for all SCRAM users. Kafka's protocol has null and an empty list mean the same; a broker 4.3.1 doesn't answer null for half a minute.
func ScramUsers() *kmsg.DescribeUserSCRAMCredentialsRequest {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{}
	return req
}
