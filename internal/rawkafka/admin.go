package rawkafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Unthrottled does something until no quota of the cluster's holds it back
// (THROTTLING_QUOTA_EXCEEDED, as controller_mutation_rate of creating and deleting topics and
// partitions): that passes by itself, however long it takes. Other errors, and ctx's, are returned.
// op names it for Config.OnRetry.
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

// Tries does something until it succeeds, at most so many times, for as long as its error may go
// away by itself ([Retriable]); see [Backoff]. op names it for Config.OnRetry. The error is the
// last one, or ctx's while waiting.
func (c *Cluster) Tries(ctx context.Context, op string, tries int, do func() error) error {
	for n := 1; ; n++ {
		err := do()
		if err == nil || ctx.Err() != nil || n >= tries || !Retriable(err) {
			return err
		}
		c.retrying(op, err)
		if err := Sleep(ctx, Backoff(n)); err != nil {
			return err
		}
	}
}

// deleteTries is how often DeleteBefore asks.
const deleteTries = 8

// DeleteBefore moves the log start offset of a partition to an offset (DeleteRecords). It may lie
// there, or beyond, before.
func (c *Cluster) DeleteBefore(ctx context.Context, p Partition, offset int64) error {
	return c.Tries(ctx, "delete records", deleteTries, func() error {
		var os kadm.Offsets
		os.Add(kadm.Offset{Topic: p.Topic, Partition: p.Partition, At: offset})
		resp, err := c.adm.DeleteRecords(ctx, os)
		if err != nil {
			return fmt.Errorf("delete records: %w", err)
		}
		r, ok := resp.Lookup(p.Topic, p.Partition)
		switch {
		case !ok:
			return errors.New("delete records: the answer has no partition")
		case r.Err != nil:
			return fmt.Errorf("delete records: %w", r.Err)
		case r.LowWatermark < offset:
			return fmt.Errorf("delete records before %d: the log start offset is %d", offset, r.LowWatermark)
		}
		return nil
	})
}

// ScramUsers asks for all SCRAM users. Kafka's protocol has null and an empty list mean the same; a
// broker 4.3.1 doesn't answer null for half a minute.
func ScramUsers() *kmsg.DescribeUserSCRAMCredentialsRequest {
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	req.Users = []kmsg.DescribeUserSCRAMCredentialsRequestUser{}
	return req
}
