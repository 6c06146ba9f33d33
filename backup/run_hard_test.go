package backup_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

// transact writes n records in a transaction and ends it, unless it is to stay open.
func transact(t testing.TB, c *kfake.Cluster, id, topic string, from, n int, end kgo.TransactionEndTry) {
	t.Helper()
	cl, err := kgo.NewClient(append(source(c), kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for i := from; i < from+n; i++ {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint("txn-", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.EndTransaction(t.Context(), end); err != nil {
		t.Fatal(err)
	}
}

// hang begins a transaction that stays open until the test's end.
func hang(t testing.TB, c *kfake.Cluster, topic string) {
	t.Helper()
	cl, err := kgo.NewClient(append(source(c), kgo.TransactionalID("hanging"), kgo.DefaultProduceTopic(topic))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("open")).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestRunTransactions(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	for i := range 6 {
		transact(t, c, "a", "orders", i*10, 3, kgo.TransactionEndTry(i%2 == 0))
		produce(t, c, "orders", 0, i*10, 2, 1)
	}
	hang(t, c, "orders")
	produce(t, c, "orders", 0, 1000, 4, 2) // behind the last stable offset
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, a, r.Snapshot.ID)
	p := stateOf(t, s, "orders", 0)
	if p.EndOffset != 36 {
		t.Errorf("the cut is %d", p.EndOffset)
	}
	if diff := cmp.Diff(sourceRecords(t, source(c), "orders", 0, 36), archived(t, s, "orders", 0)); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestRunCarriesAbortedAcrossSegments(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	for i := range 10 {
		transact(t, c, "a", "orders", i*10, 4, kgo.TransactionEndTry(i%3 == 0))
	}
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a, SegmentBytes: 1, FetchBytes: 300})
	if err != nil {
		t.Fatal(err)
	}
	if r.Objects < 5 {
		t.Errorf("%d objects", r.Objects)
	}
	s := open(t, a, r.Snapshot.ID)
	if diff := cmp.Diff(sourceRecords(t, source(c), "orders", 0, 50), archived(t, s, "orders", 0)); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestRunLogStartMoved(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders"))
	a := archive(t, bucket(t))
	adm := admin(t, c)
	trim := func(to int64) {
		t.Helper()
		var os kadm.Offsets
		os.AddOffset("orders", 0, to, -1)
		if _, err := adm.DeleteRecords(t.Context(), os); err != nil {
			t.Fatal(err)
		}
	}
	var holes []storage.Hole
	cfg := backup.Config{Source: source(c), Archive: a, Hooks: backup.Hooks{OnHole: func(_ string, _ int32, h storage.Hole) { holes = append(holes, h) }}}
	produce(t, c, "orders", 0, 0, 20, 4)
	trim(6) // inside a batch, before the first run: no hole
	if _, err := backup.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", 0, 20, 40, 4)
	trim(37) // what was archived ends at 20
	r, err := backup.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(holes) != 1 || holes[0].BaseOffset != 20 || holes[0].EndOffset != 37 || holes[0].Reason != storage.LogStartMoved || len(r.Holes) != 1 {
		t.Errorf("%+v %+v", holes, r.Holes)
	}
	s := open(t, a, r.Snapshot.ID)
	p := stateOf(t, s, "orders", 0)
	if p.StartOffset != 37 || p.EndOffset != 60 {
		t.Errorf("%+v", p)
	}
	if diff := cmp.Diff(sourceRecords(t, source(c), "orders", 0, 60), archived(t, s, "orders", 0)); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestRunTopics(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "orders", "Orders", "orders-dlq", "_schemas", "users"))
	for _, c2 := range []struct {
		name            string
		topics, exclude []string
		want            []string
		unknown         string
	}{
		{"all", nil, nil, []string{"Orders", "_schemas", "orders", "orders-dlq", "users"}, ""},
		{"anchored", []string{"order[s]"}, nil, []string{"orders"}, ""},
		{"literal and pattern", []string{"users", "[oO]rders.*"}, []string{".*-dlq"}, []string{"Orders", "orders", "users"}, ""},
		{"unknown", []string{"orders", "nothing"}, nil, nil, "nothing"},
		{"no match", []string{"orders,users", "x.*"}, nil, nil, "orders,users x.*"},
	} {
		t.Run(c2.name, func(t *testing.T) {
			a := archive(t, bucket(t))
			r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a, Topics: c2.topics, Exclude: c2.exclude})
			var unknown *backup.UnknownTopicError
			if c2.unknown != "" {
				if !errors.As(err, &unknown) || unknown.Topic != c2.unknown {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			s := open(t, a, r.Snapshot.ID)
			for topic, err := range s.Topics(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, topic.Name)
			}
			if diff := cmp.Diff(sortedNames(c2.want), sortedNames(got)); diff != "" {
				t.Error(diff)
			}
			if len(got)+len(r.LeftOut) != 5 {
				t.Errorf("left out: %v", r.LeftOut)
			}
		})
	}
}

// TestRunOwnTopics: a name takes itself alone, and what is the cluster's own is left out unless it
// is named, with the reason.
func TestRunOwnTopics(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "test.a", "test-a", "kafkadr-canary", "__kafkadr", "__remote_log_metadata", "__consumer_offsets"))
	const own = "it is the cluster's own, copied only where it is named"
	owned := map[string]string{
		"kafkadr-canary": own, "__kafkadr": own, "__remote_log_metadata": own, "__consumer_offsets": "it is Kafka's own and never copied",
	}
	for _, tt := range []struct {
		topics, want []string
		why          map[string]string
	}{
		{nil, []string{"test-a", "test.a"}, owned},
		{[]string{".*"}, []string{"test-a", "test.a"}, owned},
		{[]string{"test.a", "__remote_log_metadata", "__kafkadr"}, []string{"__kafkadr", "__remote_log_metadata", "test.a"}, map[string]string{
			"test-a": "nothing that was asked for matches it", "kafkadr-canary": "nothing that was asked for matches it", "__consumer_offsets": "nothing that was asked for matches it",
		}},
	} {
		a := archive(t, bucket(t))
		r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a, Topics: tt.topics})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for topic, err := range open(t, a, r.Snapshot.ID).Topics(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, topic.Name)
		}
		if diff := cmp.Diff(tt.want, sortedNames(got)); diff != "" {
			t.Error(tt.topics, diff)
		}
		if diff := cmp.Diff(tt.why, r.LeftOutWhy); diff != "" {
			t.Error(tt.topics, diff)
		}
	}
	_, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: archive(t, bucket(t)), Topics: []string{"test.a", "__consumer_offsets"}})
	var config *backup.ConfigError
	var internal *backup.InternalTopicError
	if !errors.As(err, &config) || !errors.As(err, &internal) || internal.Topic != "__consumer_offsets" {
		t.Error(err)
	}
}

func TestRunDescribes(t *testing.T) {
	c := fake(t, kfake.NumBrokers(2))
	adm := admin(t, c)
	policy, retention := "compact", "1234"
	if _, err := adm.CreateTopic(t.Context(), 2, 2, map[string]*string{"cleanup.policy": &policy, "retention.ms": &retention}, "orders"); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", 1, 0, 10, 3)
	var os kadm.Offsets
	os.AddOffset("orders", 1, 7, -1)
	if err := adm.CommitAllOffsets(t.Context(), "readers", os); err != nil {
		t.Fatal(err)
	}
	a := archive(t, bucket(t))
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, a, r.Snapshot.ID)
	topic := topicOf(t, s, "orders")
	if topic.ReplicationFactor != 2 || topic.Partitions != 2 {
		t.Errorf("%+v", topic)
	}
	found := map[string]string{}
	for _, c := range topic.Configs {
		if c.Value != nil {
			found[c.Key] = *c.Value + " " + c.Source
		}
	}
	if found["cleanup.policy"] != "compact DYNAMIC_TOPIC_CONFIG" || !strings.HasSuffix(found["max.message.bytes"], "DEFAULT_CONFIG") {
		t.Errorf("%+v", found)
	}
	for g, err := range s.Groups(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if g.Name != "readers" || g.Type != "classic" || len(g.Offsets) != 1 || g.Offsets[0].Offset != 7 || g.Offsets[0].TopicID != topic.ID {
			t.Errorf("%+v", g)
		}
	}
	cluster, err := s.Cluster(t.Context())
	if err != nil || cluster.Brokers != 2 {
		t.Errorf("%+v %v", cluster, err)
	}
	t.Log(r.Unread)
}

func TestRunTruncatedSource(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	a := archive(t, bucket(t))
	var told []*backup.TruncatedError
	cfg := backup.Config{Source: source(c), Archive: a, Hooks: backup.Hooks{OnTruncated: func(e *backup.TruncatedError) { told = append(told, e) }}}
	produce(t, c, "orders", 0, 0, 20, 4)
	produce(t, c, "orders", 1, 0, 20, 4)
	if _, err := backup.Run(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	produce(t, c, "orders", 0, 20, 10, 4)
	produce(t, c, "orders", 1, 20, 10, 4)
	// Partition 0's archived epoch now ends at 12: an unclean election.
	c.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, rt := range req.(*kmsg.OffsetForLeaderEpochRequest).Topics {
			st := kmsg.NewOffsetForLeaderEpochResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				sp.Partition, sp.LeaderEpoch, sp.EndOffset = rp.Partition, rp.LeaderEpoch, 12
				if rp.Partition == 1 {
					sp.EndOffset = 30
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		return resp, nil, true
	})
	r, err := backup.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || told[0].Partition != 0 || told[0].ArchivedEnd != 20 || told[0].SourceEnd != 12 || len(r.Truncated) != 1 {
		t.Errorf("%v %v", told, r.Truncated)
	}
	s := open(t, a, r.Snapshot.ID)
	var histories []storage.PartitionState
	for h, err := range s.Histories(t.Context(), stateOf(t, s, "orders", 0).Partition) {
		if err != nil {
			t.Fatal(err)
		}
		histories = append(histories, h)
	}
	if len(histories) != 2 || histories[0].EndOffset != 20 || histories[0].Truncated == "" || histories[1].EndOffset != 30 {
		t.Fatalf("%+v", histories)
	}
	want := sourceRecords(t, source(c), "orders", 0, 30)
	if diff := cmp.Diff(want, records(t, s, histories[1])); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want[:20], records(t, s, histories[0])); diff != "" {
		t.Error(diff)
	}
	verified(t, a, s)
}

func TestRunPartial(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
	a := archive(t, bucket(t))
	produce(t, c, "orders", 0, 0, 20, 4)
	produce(t, c, "orders", 1, 0, 20, 4)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		freq := req.(*kmsg.FetchRequest)
		for i := range freq.Topics {
			for _, p := range freq.Topics[i].Partitions {
				if p.Partition == 1 {
					return deny(freq), nil, true
				}
			}
		}
		return nil, nil, false
	})
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
	var partial *backup.PartialError
	var place *backup.PartitionError
	if !errors.As(err, &partial) || !errors.As(err, &place) || place.Partition != 1 || !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("got %v", err)
	}
	if r.Snapshot.Complete || r.Snapshot.ID == "" {
		t.Errorf("%+v", r.Snapshot)
	}
	if _, err := a.Latest(context.Background(), nil); !errors.Is(err, storage.ErrNoSnapshot) {
		t.Errorf("an incomplete snapshot is the latest: %v", err)
	}
	s := open(t, a, r.Snapshot.ID)
	if p := stateOf(t, s, "orders", 1); p.Fault == "" || p.EndOffset != 0 {
		t.Errorf("%+v", p)
	}
	if got := archived(t, s, "orders", 0); len(got) != 20 {
		t.Errorf("%d records", len(got))
	}
}

func deny(req *kmsg.FetchRequest) kmsg.Response {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	for _, rt := range req.Topics {
		st := kmsg.NewFetchResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		for _, rp := range rt.Partitions {
			if rp.Partition != 1 {
				continue
			}
			sp := kmsg.NewFetchResponseTopicPartition()
			sp.Partition, sp.ErrorCode = rp.Partition, kerr.TopicAuthorizationFailed.Code
			st.Partitions = append(st.Partitions, sp)
		}
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

func TestConfigNamesAllFaults(t *testing.T) {
	_, err := backup.Run(t.Context(), backup.Config{Topics: []string{"["}, SegmentBytes: -1})
	var ce *backup.ConfigError
	if !errors.As(err, &ce) || len(ce.Errs) != 4 {
		t.Errorf("got %v", err)
	}
	if _, err = backup.NewFollower(backup.FollowerConfig{Flush: -1}); !errors.As(err, &ce) || len(ce.Errs) != 3 {
		t.Errorf("got %v", err)
	}
}

// TestRunCutNotKnown: leaders that haven't heard of their partitions when the cut is asked for are
// asked again; of a partition whose cut can't be had the snapshot says so, and the run ends.
func TestRunCutNotKnown(t *testing.T) {
	for _, often := range []int32{3, math.MaxInt32} {
		c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(2, "orders"))
		for p := range int32(2) {
			produce(t, c, "orders", p, 0, 20, 3)
		}
		var asked atomic.Int32
		c.ControlKey(int16(kmsg.ListOffsets), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			req := kreq.(*kmsg.ListOffsetsRequest)
			if req.IsolationLevel != 1 || asked.Add(1) > often {
				return nil, nil, false
			}
			resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
			rt := kmsg.NewListOffsetsResponseTopic()
			rt.Topic = "orders"
			for p := range int32(2) {
				rp := kmsg.NewListOffsetsResponseTopicPartition()
				rp.Partition, rp.Offset = p, 20
				if p == 1 {
					rp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				}
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
			return resp, nil, true
		})
		a := archive(t, bucket(t))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		res, err := backup.Run(ctx, backup.Config{Source: source(c), Archive: a})
		cancel()
		var partial *backup.PartialError
		if want := often == math.MaxInt32; errors.As(err, &partial) != want || err != nil && !want || res == nil || res.Snapshot.Complete == want {
			t.Errorf("unknown %d times: %v", often, err)
		}
	}
}
