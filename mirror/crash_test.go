package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
)

// crashKinds have holes, log starts and batches of every kind.
func crashKinds() testkafka.Hard {
	return testkafka.Hard{Records: 40, Only: []string{"transactions", "deleted", "compacted", "batches", "empty"}}
}

// some of n points, all of them in a long test.
func points(t *testing.T, n int) []int {
	t.Helper()
	const some, few = 25, 8
	all := rand.New(rand.NewPCG(1, 1)).Perm(n)
	if os.Getenv("KAFKADR_LONG") == "" && n > some {
		all = all[:some]
	}
	return testpass.Few(t, few, all)
}

func runOnce(ctx context.Context, cfg Config) error {
	cfg.Once = true
	m, err := New(cfg)
	if err != nil {
		return err
	}
	return m.Run(ctx)
}

// The process dies at each request that it sends to the standby, whether or not it takes effect:
// the next one completes the mirror.
func TestCrashAtEveryRequest(t *testing.T) {
	src := testkafka.Fake(t, testkafka.Options{})
	names := hardTopics(t, src, crashKinds())
	run := func(die int, before bool) int {
		dst := testkafka.Fake(t, testkafka.Options{})
		cfg := quickConfig(src, dst)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var n atomic.Int64
		k := testkafka.Kfake(dst)
		k.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
			k.KeepControl()
			if int(n.Add(1)) != die {
				return nil, nil, false
			}
			cancel()
			return nil, errors.New("cut off"), before
		})
		err := runOnce(ctx, cfg)
		total := int(n.Add(1<<30) - 1<<30)
		if err != nil && ctx.Err() == nil {
			t.Fatalf("request %d: %v", die, err)
		}
		if err != nil {
			ctx, done := context.WithTimeout(t.Context(), time.Minute)
			defer done()
			if err := runOnce(ctx, cfg); err != nil {
				t.Fatalf("request %d (%v): again: %v", die, before, err)
			}
		}
		same(t, src, dst, names)
		return total
	}
	total := run(0, false)
	t.Logf("%d requests", total)
	for _, i := range points(t, total) {
		run(i+1, i%2 == 0)
		if t.Failed() {
			t.Fatalf("request %d", i+1)
		}
	}
}

// Requests of each kind, on either side, are cut off now and then: the mirror itself goes on and
// completes.
func TestSurvivesFaults(t *testing.T) {
	src := testkafka.Fake(t, testkafka.Options{})
	names := hardTopics(t, src, crashKinds())
	for _, side := range []string{"source", "standby"} {
		for _, key := range []kmsg.Key{kmsg.Produce, kmsg.WriteTxnMarkers, kmsg.ListOffsets, kmsg.Fetch, kmsg.DescribeProducers, kmsg.InitProducerID, kmsg.DeleteRecords, kmsg.CreateTopics, kmsg.Metadata} {
			if side == "source" && key != kmsg.Fetch && key != kmsg.ListOffsets && key != kmsg.Metadata {
				continue
			}
			t.Run(side+" "+key.Name(), func(t *testing.T) {
				dst := testkafka.Fake(t, testkafka.Options{})
				k := testkafka.Kfake(dst)
				if side == "source" {
					k = testkafka.Kfake(src)
				}
				var n, on atomic.Int64
				on.Store(1)
				k.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
					if on.Load() == 0 {
						return nil, nil, false
					}
					k.KeepControl()
					if n.Add(1)%5 == 3 { // behind the two that tell which cluster this is: a connection that can't be made at the start is an error
						return nil, errors.New("cut off"), true
					}
					return nil, nil, false
				})
				err := runOnce(t.Context(), quickConfig(src, dst))
				on.Store(0)
				if err != nil {
					t.Fatal(err)
				}
				same(t, src, dst, names)
			})
		}
	}
}
