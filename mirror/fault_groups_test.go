package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// watching looks again and again whether the standby's group is ahead of the standby's data.
func (l *faultLoad) watching(standby testkafka.Cluster) func(context.Context, *rand.Rand) {
	l.ahead = newGroupWatch(l, standby, l.group(), l.Errorf)
	w := newGroupWatch(l, standby, l.group(), l.Errorf)
	return func(ctx context.Context, _ *rand.Rand) {
		for ctx.Err() == nil {
			once, cancel := context.WithTimeout(ctx, 20*time.Second)
			if n, err := w.look(once); err == nil {
				l.watched.Add(int64(n))
			}
			cancel()
			timer := time.NewTimer(100 * time.Millisecond)
			select {
			case <-ctx.Done():
			case <-timer.C:
			}
			timer.Stop()
		}
	}
}

// groupWatch compares the offsets of a group with the high watermarks behind it. Offsets are read
// first: since a high watermark doesn't go back, one that is below them afterwards was below them
// when they were committed.
type groupWatch struct {
	testing.TB
	group string
	cl    *kgo.Client
	adm   *kadm.Client
	wrong func(format string, args ...any)
}

func newGroupWatch(t testing.TB, standby testkafka.Cluster, group string, wrong func(string, ...any)) *groupWatch {
	t.Helper()
	cl := testkafka.Client(t, standby, kgo.MetadataMinAge(50*time.Millisecond))
	return &groupWatch{t, group, cl, kadm.NewClient(cl), wrong}
}

// look compares once, and says how many offsets it has compared; the error says why not all.
func (w *groupWatch) look(ctx context.Context) (n int, err error) {
	at, err := w.adm.FetchOffsets(ctx, w.group)
	if err := errors.Join(err, at.Error()); err != nil || len(at) == 0 {
		return 0, err
	}
	ends, err := w.adm.ListEndOffsets(ctx, slices.Collect(maps.Keys(at))...)
	if err != nil {
		return 0, err
	}
	at.Each(func(o kadm.OffsetResponse) {
		end, ok := ends.Lookup(o.Topic, o.Partition)
		if !ok || end.Err != nil {
			err = errors.Join(err, end.Err)
			return
		}
		if n++; o.At > end.Offset {
			w.judge(ctx, o, end)
		}
	})
	return n, err
}

// judge says what is wrong, unless a leader that has been replaced, and doesn't know it yet, may
// have told the end.
func (w *groupWatch) judge(ctx context.Context, o kadm.OffsetResponse, end kadm.ListedOffset) {
	what := fmt.Sprintf("%s on %s/%d is at %d, ahead of the high watermark %d", w.group, o.Topic, o.Partition, o.At, end.Offset)
	if now, err := w.epoch(ctx, o.Topic, o.Partition); err != nil || now != end.LeaderEpoch {
		w.Logf("%s of epoch %d, but that isn't the last: %d, %v", what, end.LeaderEpoch, now, err)
		return
	}
	w.wrong("%s", what)
}

// epoch is the highest leader epoch that a broker knows of. All of them must answer.
func (w *groupWatch) epoch(ctx context.Context, topic string, partition int32) (highest int32, err error) {
	brokers, err := w.adm.ListBrokers(ctx)
	if err != nil {
		return -1, err
	}
	highest = -1
	for _, b := range brokers {
		req := kmsg.NewPtrMetadataRequest()
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(topic)
		req.Topics = append(req.Topics, rt)
		resp, err := w.cl.Broker(int(b.NodeID)).Request(ctx, req)
		if err != nil {
			return -1, err
		}
		for _, t := range resp.(*kmsg.MetadataResponse).Topics {
			for _, p := range t.Partitions {
				if p.Partition == partition {
					highest = max(highest, p.LeaderEpoch)
				}
			}
		}
	}
	return highest, nil
}

// An offset that is ahead of the data is seen, one at its end is none.
func TestGroupWatch(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	create(t, kafka, 1, nil, "t")
	produce(t, kafka, "t", 1, 10)
	for at, want := range map[int64]int{10: 0, 11: 1} {
		commit(t, kafka, "g", "t", at)
		wrong := 0
		n, err := newGroupWatch(t, kafka, "g", func(string, ...any) { wrong++ }).look(t.Context())
		if n != 1 || err != nil || wrong != want {
			t.Errorf("at %d: compared %d, %v, %d wrong", at, n, err, wrong)
		}
	}
}
