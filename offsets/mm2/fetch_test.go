package mm2

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestReadThrottled: a fetch answer without the partition, as of a broker whose quota is exceeded,
// is asked for again.
func TestReadThrottled(t *testing.T) {
	l := newLeft(t, "orders")
	l.produce(&kgo.Record{Topic: "orders", Value: []byte("one")})
	testkafka.Kfake(l.c).ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		return req.ResponseKind(), nil, true
	})
	tg := newTarget(l.cl, Config{}.withDefaults())
	n := 0
	if err := tg.read(t.Context(), span{topic: "orders", to: 1}, func(*kgo.Record) { n++ }); err != nil || n != 1 {
		t.Errorf("%d records, %v", n, err)
	}
}

// TestReadEmpty: a leader that has nothing to give for a while, as of tiered storage that is slow,
// has its records all the same. Taken for the cleaner's work, a checkpoint or an offset sync would
// be left out unsaid.
func TestReadEmpty(t *testing.T) {
	for _, isolation := range []kgo.IsolationLevel{kgo.ReadUncommitted(), kgo.ReadCommitted()} {
		l := newLeft(t, "orders")
		var want []string
		for i := range 10 {
			want = append(want, fmt.Sprint(i))
			l.produce(&kgo.Record{Topic: "orders", Value: []byte(want[i])})
		}
		left := map[int64]int{0: 2, 5: 1} // empty answers by offset
		testkafka.AnswerEmpty(testkafka.Kfake(l.c), 10, func(req *kmsg.FetchRequest) bool {
			at := req.Topics[0].Partitions[0].FetchOffset
			left[at]--
			return left[at] >= 0
		})
		var got []string
		read := func(from, to int64) error {
			return newTarget(l.cl, Config{}.withDefaults()).read(t.Context(), span{topic: "orders", from: from, to: to, isolation: isolation}, func(r *kgo.Record) {
				got = append(got, string(r.Value))
			})
		}
		if err := errors.Join(read(0, 5), read(5, 10)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
	}
}

// TestReadEmptyForLong: what a leader never gives is an error, not left out.
func TestReadEmptyForLong(t *testing.T) {
	l := newLeft(t, "orders")
	l.produce(&kgo.Record{Topic: "orders", Value: []byte("one")})
	testkafka.AnswerEmpty(testkafka.Kfake(l.c), 1, func(*kmsg.FetchRequest) bool { return true })
	err := newTarget(l.cl, Config{RetryFor: 1}.withDefaults()).read(t.Context(), span{topic: "orders", to: 1}, func(*kgo.Record) { t.Error("a record") })
	var empty *rawkafka.EmptyError
	if !errors.As(err, &empty) || empty.Offset != 0 || empty.Stable != 1 {
		t.Errorf("%v", err)
	}
}
