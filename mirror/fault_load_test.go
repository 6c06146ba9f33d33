package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// faultLoad is what goes on at a source: producers of all kinds, a log that is compacted, one whose
// start moves, and a group that commits. Its errors are the cluster's troubles and are borne; what
// counts is what the source's log holds in the end.
type faultLoad struct {
	testing.TB
	kafka  testkafka.Cluster
	prefix string
	adm    *kadm.Client
	idle   time.Duration // the longest wait between two writes
	topics []loadTopic
	stop   func() // ends it and waits

	ahead *groupWatch // of the standby; nil: no group commits

	writes, errs atomic.Int64
	watched      atomic.Int64 // committed offsets that were compared while the load went on
	last         atomic.Pointer[error]
}

// loadTopic is one that a load writes to.
type loadTopic struct {
	name       string
	partitions int32
	compacted  bool
	trimmed    bool // its log start moves
}

// startLoad makes topics of three replicas whose names begin with prefix and starts to write to
// them. Records are deleted once standby has them.
func startLoad(t testing.TB, kafka, standby testkafka.Cluster, prefix string, seed uint64, idle time.Duration) *faultLoad {
	t.Helper()
	l := &faultLoad{TB: t, kafka: kafka, prefix: prefix, adm: freshAdmin(t, kafka), idle: idle}
	plain, idem := l.create("plain", 2, 3), l.create("idempotent", 3, 3)
	tx, trimmed := l.create("transactions", 2, 3), l.create("trimmed", 1, 3)
	compacted := l.create("compacted", 1, 3, "cleanup.policy", "compact", "segment.ms", "2000", "min.cleanable.dirty.ratio", "0.01", "delete.retention.ms", "0")
	l.topics[3].trimmed, l.topics[4].compacted = true, true

	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for i, work := range []func(context.Context, *rand.Rand){
		l.producing(plain, 2, kgo.DisableIdempotentWrite(), kgo.ProducerBatchCompression(kgo.NoCompression())),
		l.producing(idem, 3),
		l.transacting(tx, 2), l.transacting(tx, 2),
		l.trimming(trimmed, freshAdmin(t, standby)),
		l.producing(compacted, 1),
		l.committing(idem, 3), l.watching(standby),
	} {
		running.Go(func() { work(ctx, rand.New(rand.NewPCG(seed, uint64(i)))) })
	}
	l.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(l.stop)
	return l
}

func (l *faultLoad) create(name string, partitions int32, replicas int16, configs ...string) string {
	l.Helper()
	name = l.prefix + name
	values := map[string]*string{}
	for i := 0; i < len(configs); i += 2 {
		values[configs[i]] = &configs[i+1]
	}
	testkafka.Eventually(l, time.Minute, func(ctx context.Context) error {
		_, err := l.adm.CreateTopic(ctx, partitions, replicas, values, name)
		return err
	})
	l.topics = append(l.topics, loadTopic{name: name, partitions: partitions})
	return name
}

// names are the topics'.
func (l *faultLoad) names() (names []string) {
	for _, t := range l.topics {
		names = append(names, t.name)
	}
	return names
}

// group is the name of the group that commits.
func (l *faultLoad) group() string { return l.prefix + "group" }

// each calls f again and again until ctx ends, with a pause between.
func (l *faultLoad) each(ctx context.Context, random *rand.Rand, f func(context.Context) error) {
	for ctx.Err() == nil {
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
		if err := f(once); err != nil {
			l.errs.Add(1)
			l.last.Store(&err)
		} else {
			l.writes.Add(1)
		}
		cancel()
		timer := time.NewTimer(time.Duration(random.Int64N(int64(l.idle))))
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
		timer.Stop()
	}
}

func (l *faultLoad) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(slices.Concat(l.kafka.Opts(), []kgo.Opt{kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.RecordDeliveryTimeout(15 * time.Second),
		kgo.TransactionTimeout(10 * time.Second), kgo.MetadataMinAge(100 * time.Millisecond)}, opts)...)
}

// records are a few records for random partitions.
func records(random *rand.Rand, topic string, partitions int32) (rs []*kgo.Record) {
	for range 1 + random.IntN(20) {
		value := make([]byte, random.IntN(1000))
		for i := range value {
			value[i] = byte('a' + random.IntN(8))
		}
		r := &kgo.Record{Topic: topic, Partition: random.Int32N(partitions), Key: fmt.Appendf(nil, "key-%d", random.IntN(20)), Value: value}
		if random.IntN(4) == 0 {
			r.Headers = []kgo.RecordHeader{{Key: "h", Value: value[:len(value)/2]}, {Key: "h"}}
		}
		rs = append(rs, r)
	}
	return rs
}

func (l *faultLoad) producing(topic string, partitions int32, opts ...kgo.Opt) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, random *rand.Rand) {
		cl, err := l.client(opts...)
		if err != nil {
			l.Error(err)
			return
		}
		defer cl.Close()
		l.each(ctx, random, func(ctx context.Context) error {
			return cl.ProduceSync(ctx, records(random, topic, partitions)...).FirstErr()
		})
	}
}

// transacting commits two of three transactions and aborts the others. After an error it begins
// anew, as an application would.
func (l *faultLoad) transacting(topic string, partitions int32) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, random *rand.Rand) {
		id := fmt.Sprintf("%s-%d", topic, random.Uint64())
		var cl *kgo.Client
		defer func() {
			if cl != nil {
				cl.Close()
			}
		}()
		l.each(ctx, random, func(ctx context.Context) (err error) {
			if cl == nil {
				if cl, err = l.client(kgo.TransactionalID(id)); err != nil {
					return err
				}
			}
			if err = transact(ctx, random, cl, topic, partitions); err != nil {
				cl.Close()
				cl = nil
			}
			return err
		})
	}
}

func transact(ctx context.Context, random *rand.Rand, cl *kgo.Client, topic string, partitions int32) error {
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	for range 1 + random.IntN(3) {
		if err := cl.ProduceSync(ctx, records(random, topic, partitions)...).FirstErr(); err != nil {
			return err
		}
	}
	return cl.EndTransaction(ctx, kgo.TransactionEndTry(random.IntN(3) > 0))
}

// trimming produces, and now and then deletes records from the log's start that the standby has.
func (l *faultLoad) trimming(topic string, standby *kadm.Client) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, random *rand.Rand) {
		cl, err := l.client()
		if err != nil {
			l.Error(err)
			return
		}
		defer cl.Close()
		l.each(ctx, random, func(ctx context.Context) error {
			if err := cl.ProduceSync(ctx, records(random, topic, 1)...).FirstErr(); err != nil || random.IntN(10) > 0 {
				return err
			}
			quick, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			ends, err := standby.ListEndOffsets(quick, topic)
			o, ok := ends.Lookup(topic, 0)
			if err != nil || !ok || o.Err != nil {
				return nil // not there yet, or in trouble
			}
			var to kadm.Offsets
			to.AddOffset(topic, 0, max(0, o.Offset-random.Int64N(500)), -1)
			res, err := l.adm.DeleteRecords(ctx, to)
			if err != nil {
				return err
			}
			return res.Error()
		})
	}
}

// committing moves a group's offsets, forth and now and then back.
func (l *faultLoad) committing(topic string, partitions int32) func(context.Context, *rand.Rand) {
	return func(ctx context.Context, random *rand.Rand) {
		l.each(ctx, random, func(ctx context.Context) error {
			ends, err := l.adm.ListCommittedOffsets(ctx, topic)
			if err == nil {
				err = ends.Error()
			}
			if err != nil {
				return err
			}
			var to kadm.Offsets
			for p := range partitions {
				if o, ok := ends.Lookup(topic, p); ok && o.Offset > 0 {
					to.AddOffset(topic, p, max(0, o.Offset-random.Int64N(20)), -1)
				}
			}
			return l.adm.CommitAllOffsets(ctx, l.group(), to)
		})
	}
}

// finish ends the load, and waits until no transaction is open.
func (l *faultLoad) finish() {
	l.Helper()
	if l.ahead != nil {
		testkafka.Eventually(l, time.Minute, func(context.Context) error {
			if l.watched.Load() == 0 {
				return errors.New("no committed offset of the standby was compared while the load went on")
			}
			return nil
		})
	}
	l.stop()
	testkafka.Eventually(l, time.Minute, func(ctx context.Context) error {
		stable, err := l.adm.ListCommittedOffsets(ctx, l.names()...)
		if err != nil {
			return err
		}
		ends, err := l.adm.ListEndOffsets(ctx, l.names()...)
		if err := errors.Join(err, stable.Error(), ends.Error()); err != nil {
			return err
		}
		ends.Each(func(o kadm.ListedOffset) {
			if s, _ := stable.Lookup(o.Topic, o.Partition); s.Offset != o.Offset {
				err = fmt.Errorf("%s/%d: a transaction is open at %d", o.Topic, o.Partition, s.Offset)
			}
		})
		return err
	})
	var last error
	if e := l.last.Load(); e != nil {
		last = *e
	}
	l.Logf("the load: %d writes, %d errors, the last: %v; %d committed offsets of the standby compared meanwhile", l.writes.Load(), l.errs.Load(), last, l.watched.Load())
	if l.writes.Load() == 0 {
		l.Fatal("the load wrote nothing")
	}
}
