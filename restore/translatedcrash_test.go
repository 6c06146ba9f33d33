package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/copyops"
	"github.com/kafkadr/kafkadr/internal/copyops/opstest"
	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/storage"
)

// mapsOf plans and runs once.
func mapsOf(ctx context.Context, cfg Config) ([]*offsets.Map, error) {
	p, err := NewPlan(ctx, cfg)
	if err != nil {
		return nil, err
	}
	res, err := p.Run(ctx)
	if err != nil {
		return nil, err
	}
	return res.Maps, nil
}

// few of the operations will do: the engine's own tests fail all of theirs.
func few(points []int) []int {
	if os.Getenv("KAFKADR_LONG") == "" && len(points) > 20 {
		return points[:20]
	}
	return points
}

// The process dies at each request it sends to the target, whether or not it takes effect, while
// others write: the next one completes the job, and there are neither doubles nor records that the
// map doesn't know.
func TestTranslatedCrashAtEveryRequest(t *testing.T) {
	topics := append(crashTopics(t), fakeTopic{name: "e", partitions: []opstest.History{plain(t, 0, 3, 2)}, configs: map[string]string{"compression.type": "gzip"}})
	s := fakeArchive(t, nil, topics...)
	run := func(die int, before bool) int {
		cfg, cl := translatedConfig(t, s)
		existing(t, cl, nil, topics[:2]...)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var n atomic.Int64
		k := testkafka.Kfake(cl)
		k.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			if int(n.Add(1)) != die {
				return nil, nil, false
			}
			cancel()
			return nil, errors.New("cut off"), before
		})
		maps, err := mapsOf(ctx, cfg)
		total := int(n.Add(1<<30) - 1<<30)
		if err != nil && ctx.Err() == nil {
			t.Fatalf("request %d: %v", die, err)
		}
		if err != nil {
			for _, ft := range topics[:2] {
				others(t, cl, ft.name, 0, 3)
			}
			if maps, err = mapsOf(t.Context(), cfg); err != nil {
				t.Fatalf("request %d (%v): again: %v", die, before, err)
			}
		}
		checkTranslated(t, cl, copyops.Filter{}, maps, topics...)
		if now, err := describeTopics(t.Context(), connectTo(t, cl), []string{"e"}); err != nil || now["e"][cfgCompression].value != "gzip" {
			t.Errorf("a topic that was made has compression.type %s, %v", now["e"][cfgCompression].value, err)
		}
		if again, err := mapsOf(t.Context(), cfg); err != nil {
			t.Error(err)
		} else {
			checkTranslated(t, cl, copyops.Filter{}, again, topics...)
		}
		return total
	}
	total := run(0, false)
	t.Logf("%d requests", total)
	for _, i := range few(points(t, total)) {
		run(i+1, i%2 == 0)
		if t.Failed() {
			t.Fatalf("request %d", i+1)
		}
	}
}

// The store fails at each operation: the run fails with its error or completes, and another
// completes it.
func TestTranslatedStoreFails(t *testing.T) {
	topics := crashTopics(t)
	_, inner := fakeBucket(t, nil, topics...)
	run := func(rule faultbucket.Rule) int {
		bucket, faults := faultbucket.New(inner)
		defer func() { _ = bucket.Close() }()
		faults.Set(rule)
		cl := testkafka.Fake(t, testkafka.Options{})
		existing(t, cl, nil, topics...)
		once := func() ([]*offsets.Map, error) {
			a, err := storage.Open(t.Context(), bucket, storage.Config{ReadOnly: true, Retries: -1})
			if err != nil {
				return nil, err
			}
			s, err := a.Latest(t.Context(), nil)
			if err != nil {
				return nil, err
			}
			return mapsOf(t.Context(), Config{Target: cl.Opts(), Snapshot: s, Offsets: Translated})
		}
		maps, err := once()
		n := len(faults.Ops())
		if err != nil {
			faults.Set(nil)
			if maps, err = once(); err != nil {
				t.Fatal(err)
			}
		}
		checkTranslated(t, cl, copyops.Filter{}, maps, topics...)
		return n
	}
	total := run(nil)
	t.Logf("%d operations", total)
	for _, i := range few(points(t, total)) {
		kinds := []faultbucket.Fault{faultbucket.Before, faultbucket.After, faultbucket.Cut, faultbucket.Short}
		run(faultbucket.From(i+1, kinds[i%len(kinds)]))
		run(faultbucket.At(i+1, kinds[(i+1)%len(kinds)]))
		if t.Failed() {
			t.Fatalf("operation %d", i+1)
		}
	}
}

// A request of each kind is cut off, once in a while, before or after it took effect: the run
// itself goes on and completes.
func TestTranslatedSurvivesFaults(t *testing.T) {
	topics := crashTopics(t)
	s := fakeArchive(t, nil, topics...)
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.ListOffsets, kmsg.Fetch, kmsg.DescribeProducers, kmsg.InitProducerID} {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s-%v", key.Name(), before), func(t *testing.T) {
				cfg, cl := translatedConfig(t, s)
				existing(t, cl, nil, topics...)
				p := planned(t, cfg)
				k := testkafka.Kfake(cl)
				var n atomic.Int64
				k.ControlKey(int16(key), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
					k.KeepControl()
					if n.Add(1)%5 == 2 {
						return nil, errors.New("cut off"), before
					}
					return nil, nil, false
				})
				stop := producing(t, cl, topics...)
				res, err := p.Run(t.Context())
				stop()
				if err != nil {
					t.Fatal(err)
				}
				checkTranslated(t, cl, copyops.Filter{}, res.Maps, topics...)
			})
		}
	}
}

// Two that do the same job at once do no harm: together they append each record once, and both know
// where.
func TestTranslatedTwoAtOnce(t *testing.T) {
	for seed := range 6 {
		topics := []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 0, 50, 2), plain(t, 9, 50, 2)}}, {name: "b", partitions: []opstest.History{plain(t, 0, 20, 1)}}}
		cfg, cl := translatedConfig(t, fakeArchive(t, nil, topics...))
		existing(t, cl, nil, topics...)
		stop := producing(t, cl, topics...)
		var wg sync.WaitGroup
		errs, maps := make([]error, 2), make([][]*offsets.Map, 2)
		for i := range errs {
			wg.Go(func() { maps[i], errs[i] = mapsOf(t.Context(), cfg) })
		}
		wg.Wait()
		stop()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(seed, err)
		}
		for _, m := range maps {
			checkTranslated(t, cl, copyops.Filter{}, m, topics...)
		}
	}
}

// Where the ledger can't be written there is nothing to go on from after a crash: refused before
// the first effect.
func TestTranslatedDenied(t *testing.T) {
	topics := []fakeTopic{{name: "a", partitions: []opstest.History{plain(t, 0, 2, 2)}}}
	cfg, cl := translatedConfig(t, fakeArchive(t, nil, topics...))
	existing(t, cl, nil, topics...)
	k := testkafka.Kfake(cl)
	k.ControlKey(int16(kmsg.CreateTopics), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		resp := kreq.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, t := range kreq.(*kmsg.CreateTopicsRequest).Topics {
			rt := kmsg.NewCreateTopicsResponseTopic()
			rt.Topic, rt.ErrorCode = t.Topic, kerr.TopicAuthorizationFailed.Code
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	if _, err := mapsOf(t.Context(), cfg); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("got %v", err)
	}
	c := connectTo(t, cl)
	got, _, _ := onTarget(t, c, "a", 0)
	if len(got) != 5 {
		t.Errorf("%d records on the target, want others' 5", len(got))
	}
}
