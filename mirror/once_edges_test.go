package mirror

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A Once takes in the partitions that the copy lacks.
func TestOnceGrows(t *testing.T) {
	src, dst := pairOf(t, "t")
	if _, err := kadm.NewClient(testkafka.Client(t, src)).UpdatePartitions(t.Context(), 3, "t"); err != nil {
		t.Fatal(err)
	}
	for i := range int32(3) {
		produceTo(t, src, "t", i, 5)
	}
	once(t, quickConfig(src, dst))
	same(t, src, dst, []string{"t"})
}

func produceTo(t testing.TB, cl testkafka.Cluster, topic string, partition int32, n int) {
	t.Helper()
	c := testkafka.Client(t, cl, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	testkafka.Eventually(t, 10*time.Second, func(ctx context.Context) error {
		md, err := kadm.NewClient(c).ListTopics(ctx, topic)
		if err == nil && len(md[topic].Partitions) <= int(partition) {
			err = errors.New("no such partition yet")
		}
		return err
	})
	for range n {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// A topic that the target refuses doesn't end a Once before the others are copied, and is named.
func TestOnceRefused(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "a", "b")
	produce(t, src, "a", 1, 5)
	produce(t, src, "b", 1, 5)
	asked := make(chan struct{}, 2)
	k := testkafka.Kfake(dst)
	k.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		refused := false
		for _, rt := range req.(*kmsg.CreateTopicsRequest).Topics {
			a := kmsg.NewCreateTopicsResponseTopic()
			a.Topic, a.ErrorCode = rt.Topic, kerr.NotController.Code
			if rt.Topic == "a" {
				a.ErrorCode, refused = kerr.InvalidConfig.Code, true
			}
			resp.Topics = append(resp.Topics, a)
		}
		if !refused {
			return nil, nil, false
		}
		select {
		case asked <- struct{}{}:
		default:
		}
		return resp, nil, true
	})
	cfg := quickConfig(src, dst)
	cfg.Once = true
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	for range 2 { // refused once, and looked at again
		select {
		case <-asked:
		case err := <-ended:
			t.Fatalf("ended before the other topic was there: %v", err)
		}
	}
	create(t, dst, 1, nil, "b")
	var stopped *StoppedError
	if err := <-ended; !errors.As(err, &stopped) || len(stopped.Errs) != 1 {
		t.Fatal(err)
	}
	same(t, src, dst, []string{"b"})
}

// A topic that is deleted at the source while a Once copies it doesn't hold the Once up.
func TestOnceDeleted(t *testing.T) {
	src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 5)
	k := testkafka.Kfake(src)
	k.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := req.ResponseKind().(*kmsg.FetchResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	cfg := quickConfig(src, dst)
	cfg.Once = true
	copying := make(chan struct{}, 1)
	cfg.Hooks.OnProgress = func(s Status) {
		if s.Copying > 0 {
			select {
			case copying <- struct{}{}:
			default:
			}
		}
	}
	m, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- m.Run(ctx) }()
	select {
	case <-copying:
	case err := <-ended:
		t.Fatalf("ended before it could be deleted: %v", err)
	}
	deleteTopic(t, src, "t")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := m.Status().Events[TopicDeleted]; n != 1 {
		t.Errorf("%d events", n)
	}
}

// With the policy to begin anew, a Once ends when the new topic is copied.
func TestOnceAnew(t *testing.T) {
	src, dst := pairOf(t, "t")
	deleteTopic(t, src, "t")
	create(t, src, 1, nil, "t")
	produce(t, src, "t", 1, 30)
	cfg := quickConfig(src, dst)
	cfg.Policies = Policies{TopicRecreated: Recreate}
	once(t, cfg)
	same(t, src, dst, []string{"t"})
}

// TestOnceLeaderless: a partition of the source that has no leader yet, and a topic that is being
// made, are waited for.
func TestOnceLeaderless(t *testing.T) {
	for name, whole := range map[string]bool{"partition": false, "topic": true} {
		t.Run(name, func(t *testing.T) {
			src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Options{})
			create(t, src, 1, nil, "t")
			produce(t, src, "t", 1, 10)
			time.AfterFunc(2*time.Second, testkafka.Leaderless(t, src, "t", whole))
			if s := once(t, quickConfig(src, dst)).Status(); s.Records != 10 {
				t.Errorf("%d records", s.Records)
			}
			same(t, src, dst, []string{"t"})
		})
	}
}
