package testkafka

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// remoteDir is the brokers' tiered storage.
func (c *cluster) remoteDir() string { return filepath.Join(c.dir, "remote") }

// tier turns tiered storage on.
func (c *cluster) tier(p map[string]string) {
	listener := "PLAINTEXT"
	if c.sec != nil {
		listener = "INTERNAL"
	}
	maps.Copy(p, map[string]string{
		"remote.log.storage.system.enable":                                 "true",
		"remote.log.storage.manager.class.name":                            "org.apache.kafka.server.log.remote.storage.LocalTieredStorage",
		"rsm.config.dir":                                                   c.remoteDir(),
		"remote.log.metadata.manager.listener.name":                        listener,
		"rlmm.config.remote.log.metadata.topic.replication.factor":         fmt.Sprint(len(c.brokers)),
		"rlmm.config.remote.log.metadata.topic.num.partitions":             "1",
		"rlmm.config.remote.log.metadata.initialization.retry.interval.ms": "500",
		"remote.log.manager.task.interval.ms":                              "500",
	})
}

// awaitRemote waits until a partition's leader doesn't hold an offset any more: it can only be read
// from tiered storage.
func awaitRemote(t testing.TB, cl Cluster, topic string, offset int64) {
	t.Helper()
	c := Client(t, cl)
	Eventually(t, time.Minute, func(ctx context.Context) error {
		req := kmsg.NewPtrListOffsetsRequest()
		rt := kmsg.NewListOffsetsRequestTopic()
		rt.Topic = topic
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Timestamp = -4 // the earliest that is local (KIP-405)
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		shards := c.RequestSharded(ctx, req)
		for _, s := range shards {
			if s.Err != nil {
				return s.Err
			}
			if p := s.Resp.(*kmsg.ListOffsetsResponse).Topics[0].Partitions[0]; p.ErrorCode != 0 || p.Offset <= offset {
				return fmt.Errorf("the earliest local offset is %d, error %d", p.Offset, p.ErrorCode)
			}
		}
		return nil
	})
}

// StallRemote has reads of a topic's segments from tiered storage stand still until release is
// called: what is read then fails, or is empty.
func StallRemote(t testing.TB, cl Cluster, topic string) (release func()) {
	t.Helper()
	var c *cluster
	switch cl := cl.(type) {
	case *cluster:
		c = cl
	case *securedCluster:
		c = cl.cluster
	default:
		t.Fatal("testkafka: not a real Kafka")
	}
	var segments []string
	err := filepath.WalkDir(c.remoteDir(), func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".log") && strings.Contains(path, topic) {
			segments = append(segments, path)
		}
		return err
	})
	if err == nil && len(segments) == 0 {
		err = errors.New("nothing is there")
	}
	for _, path := range segments {
		err = errors.Join(err, os.Rename(path, path+".away"), makeFIFO(path))
	}
	if err != nil {
		t.Fatalf("testkafka: stall tiered storage of %s: %v", topic, err)
	}
	return func() {
		for _, path := range segments {
			if err := errors.Join(hangUp(path), os.Rename(path+".away", path)); err != nil {
				t.Errorf("testkafka: release tiered storage of %s: %v", topic, err)
			}
		}
	}
}

// FillTiered makes a topic of one partition in tiered storage, unless it is there, and writes n
// records of 10 KB to it. When it returns, most of them, and all before them, are in the storage
// alone.
func FillTiered(t testing.TB, cl Cluster, topic string, n int) {
	t.Helper()
	set := func(s string) *string { return &s }
	rs, err := kadm.NewClient(Client(t, cl)).CreateTopics(t.Context(), 1, -1, map[string]*string{
		"remote.storage.enable": set("true"), "segment.bytes": set("1048576"), "local.retention.bytes": set("1"),
	}, topic)
	if err == nil {
		err = rs.Error()
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Fatalf("testkafka: create %s: %v", topic, err)
	}
	Known(t, cl, topic)
	c := Client(t, cl, kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	records := make([]*kgo.Record, n)
	for i := range records {
		records[i] = &kgo.Record{Key: fmt.Append(nil, i), Value: make([]byte, 10_000)}
	}
	if err := c.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("testkafka: fill %s: %v", topic, err)
	}
	awaitRemote(t, cl, topic, records[0].Offset)
}
