package exactcopy

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestTwins: several processes of one copy write the same partition at the same time. Each record
// is there once.
func TestTwins(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{})
		for round := range 5 {
			name := tg.topic("twins"+string(rune('a'+round)), 1, 1, nil)[0]
			s := stream{trues(600), 20}
			var wg sync.WaitGroup
			for range 3 {
				c := tg.newCopier(Config{JoinBelow: -1})
				wg.Go(func() {
					if err := copyStream(t.Context(), c, name, s); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			tg.check(name, s.kinds)
		}
	})
}

// TestLateRequest: a request of a process that died lands after its successor has read the end. It
// is a duplicate, or refused.
func TestLateRequest(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{JoinBelow: -1})
		name := tg.topic("late", 1, 1, nil)[0]
		for _, start := range []int64{0, 30} { // an empty log, and one with a producer
			dead := tg.opened(tg.newCopier(Config{}), name)
			next := tg.opened(tg.newCopier(Config{JoinBelow: -1}), name)
			tg.appendAll(dead, 1, 10) // lands after next has read the end
			tg.must(dead.Flush(t.Context(), false))
			tg.appendAll(next, 1, 10) // the same: a duplicate
			tg.must(next.Flush(t.Context(), false))
			if end, _ := tg.ends(name); end != start+10 {
				t.Fatalf("true end %d, want %d", end, start+10)
			}
			late := tg.opened(tg.newCopier(Config{}), name)
			tg.appendAll(next, 1, 10)
			tg.must(next.Flush(t.Context(), false))
			tg.must(late.Append(t.Context(), makeBatch(t, start+10, 7, kgo.NoCompression()))) // another length: refused
			if err := late.Flush(t.Context(), false); !errors.Is(err, ErrUndecided) {
				t.Fatalf("got %v", err)
			}
			tg.must(next.Hole(t.Context(), 10))
			if err := late.Err(); !errors.Is(err, ErrUndecided) {
				t.Fatal(err)
			}
		}
		kinds := append(trues(20), make([]bool, 10)...)
		tg.check(name, append(kinds, kinds...))
	})
}

// TestLateOldEpoch: what is late from before a hole, data or markers, is refused once data lies
// behind the hole.
func TestLateOldEpoch(t *testing.T) {
	tg := connect(t, pool.Real(t, testkafka.Options{}), Config{})
	name := tg.topic("epochs", 1, 1, nil)[0]
	p := tg.opened(tg.copier, name)
	tg.appendAll(p, 1, 10)
	tg.must(p.Flush(t.Context(), false))
	old := tg.opened(tg.newCopier(Config{Quiet: 1}), name)
	tg.must(p.Hole(t.Context(), 5))
	tg.appendAll(p, 1, 10)
	tg.must(p.Flush(t.Context(), true))
	// The same markers as those that were written, once more.
	leader, _, err := tg.cluster.Leader(t.Context(), name)
	tg.must(err)
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	for e := range 5 {
		req.Markers = append(req.Markers, marker(p.prod.pid(), int16(1+e), name.Topic, 0))
	}
	_, err = tg.cluster.Request(t.Context(), leader, req)
	tg.must(err)
	tg.must(old.Append(t.Context(), makeBatch(t, 10, 3, kgo.NoCompression())))
	if err := old.Flush(t.Context(), false); !errors.Is(err, ErrUndecided) {
		t.Errorf("got %v", err)
	}
	tg.check(name, append(append(trues(10), make([]bool, 5)...), trues(10)...))
}

// TestLastEpoch: behind epoch 32 767 comes another producer id, and a process that opens the
// partition then knows it.
func TestLastEpoch(t *testing.T) {
	onBoth(t, testkafka.Options{}, func(t *testing.T, kafka testkafka.Cluster) {
		tg := connect(t, kafka, Config{})
		name := tg.topic("last", 1, 1, nil)[0]
		p := tg.opened(tg.copier, name)
		p.prod.epoch = math.MaxInt16 - 3
		p.prod.sequence = 0
		var kinds []bool
		for range 6 {
			kinds = append(kinds, tg.appendAll(p, 2, 3)...)
			tg.must(p.Hole(t.Context(), 2))
			kinds = append(kinds, false, false)
			tg.must(p.Flush(t.Context(), true))
			p = tg.opened(tg.newCopier(Config{Quiet: 1}), name)
		}
		if p.prod.gen != 1 {
			t.Errorf("generation %d, want 1", p.prod.gen)
		}
		tg.check(name, kinds)
	})
}

// TestWrap: sequences wrap at 2^31.
func TestWrap(t *testing.T) {
	tg := connect(t, pool.Real(t, testkafka.Options{}), Config{})
	for i, from := range []int32{math.MaxInt32 - 9, math.MaxInt32 - 10, math.MaxInt32 - 4} {
		name := tg.topic("wrap"+string(rune('a'+i)), 1, 1, nil)[0]
		p := tg.opened(tg.copier, name)
		p.prod.sequence = from
		kinds := tg.appendAll(p, 4, 10)
		tg.must(p.Flush(t.Context(), true))
		p = tg.opened(tg.newCopier(Config{}), name)
		kinds = append(kinds, tg.appendAll(p, 2, 10)...)
		tg.must(p.Flush(t.Context(), true))
		tg.check(name, kinds)
	}
}

// TestDenied: without ClusterAction and Alter on the cluster, holes are transactions; a transaction
// that a dead process left open is ended before the end is read.
func TestDenied(t *testing.T) {
	onBoth(t, testkafka.Options{Secure: true}, func(t *testing.T, kafka testkafka.Cluster) {
		admin := connect(t, kafka, Config{})
		if m, err := admin.copier.Method(t.Context()); m != Markers || err != nil {
			t.Fatalf("the admin has %v, %v", m, err)
		}
		name := admin.topic("denied", 1, 1, nil)[0]
		secured := kafka.(testkafka.Secured)
		secured.CreateUser(t, "copier", "secret")
		allow := func(b *kadm.ACLBuilder) {
			got, err := admin.cluster.Admin().CreateACLs(t.Context(), b.Allow("User:copier").AllowHosts("*"))
			admin.must(err)
			for _, r := range got {
				admin.must(r.Err)
			}
		}
		allow(kadm.NewACLs().Topics("denied").ResourcePatternType(kadm.ACLPatternLiteral).Operations(kadm.OpRead, kadm.OpWrite, kadm.OpDescribe))
		allow(kadm.NewACLs().TransactionalIDs("kafkadr-test").ResourcePatternType(kadm.ACLPatternPrefixed).Operations(kadm.OpWrite, kadm.OpDescribe))
		tg := connect(t, user{kafka, secured}, Config{})
		await(t, func() bool {
			_, err := tg.newCopier(Config{}).Open(t.Context(), name)
			return err == nil
		})
		if m, err := tg.copier.Method(t.Context()); m != Transactions || err != nil {
			t.Fatalf("the user has %v, %v", m, err)
		}
		p := tg.opened(tg.copier, name)
		var kinds []bool
		for range 3 {
			kinds = append(kinds, tg.appendAll(p, 2, 3)...)
			tg.must(p.Hole(t.Context(), 3))
			kinds = append(kinds, false, false, false)
		}
		// A process dies with a transaction open.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		add := kmsg.NewPtrAddPartitionsToTxnRequest()
		add.TransactionalID, add.ProducerID, add.ProducerEpoch = p.txn.id, p.txn.pid, p.txn.epoch
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = name.Topic, []int32{0}
		add.Topics = append(add.Topics, rt)
		_, err := add.RequestWith(ctx, tg.cluster.Client())
		tg.must(err)
		p = tg.opened(tg.newCopier(Config{}), name)
		for range p.Position() - int64(len(kinds)) { // ended by Open: it took an offset
			kinds = append(kinds, false)
		}
		kinds = append(kinds, tg.appendAll(p, 2, 3)...)
		tg.must(p.Hole(t.Context(), 1))
		tg.must(p.Flush(t.Context(), true))
		admin.check(name, append(kinds, false))
	})
}

// user is a cluster as its user copier sees it.
type user struct {
	testkafka.Cluster
	secured testkafka.Secured
}

func (u user) Opts() []kgo.Opt { return u.secured.UserOpts("copier", "secret") }
