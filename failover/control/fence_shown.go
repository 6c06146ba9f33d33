package control

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// errUnshown says that a fence is set, and that an application could write nevertheless.
var errUnshown = errors.New("the fence is set, and isn't shown to bind")

// shown says whether applications are bound by a fence: for each of them every broker refuses to
// let it write to any of the topics. admin knows the topics' IDs, which applications needn't see.
func (d DenyWrites) shown(ctx context.Context, admin *rawkafka.Cluster, r FenceRequest) (bool, error) {
	applications := []failover.Cluster{r.Cluster}
	if d.Applications != nil {
		applications = nil
		for _, opts := range d.Applications(r.Cluster.Name) {
			applications = append(applications, failover.Cluster{Name: r.Cluster.Name, Opts: opts})
		}
	}
	if len(applications) == 0 {
		return false, fmt.Errorf("%w: no application's credentials are known", errUnshown)
	}
	req, err := unwritable(ctx, admin, r.Topics)
	if err != nil {
		return false, err
	}
	brokers, err := admin.Admin().ListBrokers(ctx)
	if err != nil {
		return false, fmt.Errorf("list brokers: %w", err)
	}
	for i, application := range applications {
		cl, err := kafkaAccess{}.connect(ctx, application)
		if err != nil {
			return false, fmt.Errorf("%w: application %d: %w", errUnshown, i, err)
		}
		for _, b := range brokers {
			if err = refused(ctx, cl, b.NodeID, req); err != nil {
				err = fmt.Errorf("%w: application %d: broker %d: %w", errUnshown, i, b.NodeID, err)
				break
			}
		}
		cl.Close()
		if err != nil {
			return false, err
		}
	}
	return true, nil
}

// unwritable is a Produce of a record to each topic, in a batch whose CRC is wrong.
func unwritable(ctx context.Context, admin *rawkafka.Cluster, topics []string) (*kmsg.ProduceRequest, error) {
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 1000
	found, err := admin.Topics(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("topics: %w", err)
	}
	for _, name := range topics {
		t := found[name]
		if errors.Is(t.Err, kerr.UnknownTopicOrPartition) {
			continue // nobody writes to it
		}
		if t.Err != nil {
			return nil, fmt.Errorf("%s: %w", name, t.Err)
		}
		rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		rt.Topic, rt.TopicID, rp.Records = name, t.ID, wrongCRC()
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
	}
	return req, nil
}

// wrongCRC is a record batch (magic 2) with one record, whose CRC is the complement of a right one.
func wrongCRC() []byte {
	const lengthAt, crcAt, crcFrom = 8, 17, 21
	r := kmsg.Record{Value: []byte("never written")}
	r.Length = int32(len(r.AppendTo(nil)) - 1) //nolint:gosec // short; a length of 0 takes one byte
	b := kmsg.RecordBatch{PartitionLeaderEpoch: -1, Magic: 2, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: 1, Records: r.AppendTo(nil)}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[lengthAt:], uint32(len(raw)-lengthAt-4)) //nolint:gosec // short
	binary.BigEndian.PutUint32(raw[crcAt:], ^crc32.Checksum(raw[crcFrom:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// refused is nil where a broker refuses all of a Produce for want of the right.
func refused(ctx context.Context, cl *rawkafka.Cluster, broker int32, req *kmsg.ProduceRequest) error {
	if len(req.Topics) == 0 {
		return nil
	}
	answer, err := cl.Request(ctx, broker, req)
	if err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	got := 0
	for _, t := range answer.(*kmsg.ProduceResponse).Topics {
		for _, p := range t.Partitions {
			if got++; p.ErrorCode != kerr.TopicAuthorizationFailed.Code {
				return fmt.Errorf("a produce to %s is answered with %w", nameOf(req, t), cmp.Or(kerr.ErrorForCode(p.ErrorCode), errTaken))
			}
		}
	}
	if got != len(req.Topics) {
		return fmt.Errorf("a produce to %d topics is answered for %d", len(req.Topics), got)
	}
	return nil
}

var errTaken = errors.New("no error")

// nameOf is a topic's name: newer versions of the answer have its ID alone.
func nameOf(req *kmsg.ProduceRequest, t kmsg.ProduceResponseTopic) string {
	for _, r := range req.Topics {
		if t.Topic == r.Topic || t.Topic == "" && t.TopicID == r.TopicID {
			return r.Topic
		}
	}
	return t.Topic
}
