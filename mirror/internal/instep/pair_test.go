package instep

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

var pool testkafka.Pool

// child is what the test binary does instead of testing, where it is started so.
var child func() (is bool, err error)

func TestMain(m *testing.M) {
	if child != nil {
		if is, err := child(); is {
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			return
		}
	}
	os.Exit(pool.Run(m.Run))
}

// pair is a source, a standby and its ledger.
type pair struct {
	t        testing.TB
	from, to testkafka.Cluster
	src, dst *kadm.Client
	sides    Sides
}

func fakes(t testing.TB, o testkafka.Options) *pair {
	t.Helper()
	return pairOf(t, testkafka.Fake(t, o), testkafka.Fake(t, o))
}

// reals are two real clusters with authorizers, which the package's tests share, side by side: each
// has topics and groups of its own. The standby keeps offsets for a minute, and looks every second.
func reals(t *testing.T) *pair {
	t.Helper()
	t.Parallel()
	return pairOf(t, pool.Real(t, testkafka.Options{Secure: true}), pool.Real(t, testkafka.Options{Secure: true, Configs: map[string]string{
		"offsets.retention.minutes": "1", "offsets.retention.check.interval.ms": "1000",
	}}))
}

func pairOf(t testing.TB, from, to testkafka.Cluster) *pair {
	t.Helper()
	p := &pair{t: t, from: from, to: to}
	p.sides = Sides{Source: connect(t, from), Target: connect(t, to)}
	p.sides.Ledger = p.ledger()
	p.src, p.dst = p.sides.Source.Admin(), p.sides.Target.Admin()
	return p
}

func connect(t testing.TB, c testkafka.Cluster) *rawkafka.Cluster {
	t.Helper()
	cl, err := rawkafka.Connect(ctxOf(t), c.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// ledger is the standby's as a process that starts now finds it.
func (p *pair) ledger() *ledger.Ledger {
	p.t.Helper()
	l, err := ledger.Open(ctxOf(p.t), p.sides.Target)
	if err != nil {
		p.t.Fatal(err)
	}
	return l
}

func ctxOf(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// topic creates a topic on both sides, and a record in each partition so that offsets have
// something to be of.
func (p *pair) topic(source, target string, partitions int32, src, dst map[string]*string) Topic {
	p.t.Helper()
	return Topic{
		Source: source, SourceID: p.create(p.from, source, partitions, src),
		Target: target, TargetID: p.create(p.to, target, partitions, dst),
		ReplicationFactor: 1, Ready: true, Partitions: slices.Repeat([]Partition{{Durable: 1000}}, int(partitions)),
	}
}

func (p *pair) create(c testkafka.Cluster, name string, partitions int32, configs map[string]*string) kadm.TopicID {
	p.t.Helper()
	return testkafka.Create(p.t, c, partitions, 1, configs, name)[name].ID
}

// own are the configs that are set on a topic of the standby itself.
func (p *pair) own(topic string) map[string]string { p.t.Helper(); return p.ownOf(p.dst, topic) }

func (p *pair) ownOf(adm *kadm.Client, topic string) map[string]string {
	p.t.Helper()
	rs, err := adm.DescribeTopicConfigs(ctxOf(p.t), topic)
	if err != nil || rs[0].Err != nil {
		p.t.Fatal(err, rs)
	}
	own := map[string]string{}
	for name, s := range settingsOf(rs[0]) {
		if s.own {
			own[name] = s.value
		}
	}
	return own
}

// alter sets configs, or, where the value is nil, removes them.
func (p *pair) alter(adm *kadm.Client, topic string, configs map[string]*string) {
	p.t.Helper()
	var alters []kadm.AlterConfig
	for name, value := range configs {
		op := kadm.SetConfig
		if value == nil {
			op = kadm.DeleteConfig
		}
		alters = append(alters, kadm.AlterConfig{Op: op, Name: name, Value: value})
	}
	rs, err := adm.AlterTopicConfigs(ctxOf(p.t), alters, topic)
	if err == nil {
		err = rs[0].Err
	}
	if err != nil {
		p.t.Fatal(err)
	}
	testkafka.Eventually(p.t, time.Minute, func(context.Context) error { // brokers hear of it a moment later
		now := p.ownOf(adm, topic)
		for name, value := range configs {
			if is, own := now[name]; own != (value != nil) || own && is != *value {
				return fmt.Errorf("%s of %s is %q", name, topic, is)
			}
		}
		return nil
	})
}

// commit commits offsets as an administrator does, with a leader epoch.
func (p *pair) commit(adm *kadm.Client, group, topic string, epoch int32, at ...int64) {
	p.t.Helper()
	os := kadm.Offsets{}
	for i, o := range at {
		os.Add(kadm.Offset{Topic: topic, Partition: int32(i), At: o, LeaderEpoch: epoch, Metadata: fmt.Sprintf("at %d", o)})
	}
	testkafka.Eventually(p.t, time.Minute, func(ctx context.Context) error {
		return adm.CommitAllOffsets(ctx, group, os)
	})
}

// committed are a group's offsets of one topic; -1: none.
func (p *pair) committed(adm *kadm.Client, group, topic string, partitions int) []int64 {
	p.t.Helper()
	var got kadm.OffsetResponses
	var err error
	testkafka.Eventually(p.t, time.Minute, func(ctx context.Context) error { // the first to ask makes the broker create its topic of offsets
		if got, err = adm.FetchOffsets(ctx, group); rawkafka.Retriable(err) {
			return err
		}
		return nil
	})
	at := slices.Repeat([]int64{-1}, partitions)
	if err != nil {
		if strings.Contains(err.Error(), "GROUP_ID_NOT_FOUND") {
			return at
		}
		p.t.Fatal(err)
	}
	for i := range at {
		if o, ok := got.Lookup(topic, int32(i)); ok && o.Err == nil {
			at[i] = o.At
			if want := fmt.Sprintf("at %d", o.At); o.At > 0 && o.Metadata != want && !strings.HasPrefix(o.Metadata, "at ") {
				p.t.Errorf("%s %s/%d: metadata %q", group, topic, i, o.Metadata)
			}
		}
	}
	return at
}

// member joins a group on the standby, and leaves when it is called.
func (p *pair) member(c testkafka.Cluster, group, topic string, opts ...kgo.Opt) (leave func()) {
	p.t.Helper()
	cl, err := kgo.NewClient(append(append(c.Opts(), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit()), opts...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(cl.Close)
	go cl.PollFetches(ctxOf(p.t))
	testkafka.Eventually(p.t, time.Minute, func(ctx context.Context) error {
		gs, err := kadm.NewClient(cl).ListGroups(ctx)
		if err == nil && gs[group].State != "Stable" {
			err = fmt.Errorf("group %s is %q", group, gs[group].State)
		}
		return err
	})
	return func() {
		cl.Close()
		testkafka.Eventually(p.t, time.Minute, func(ctx context.Context) error {
			gs, err := kadm.NewClient(testkafka.Client(p.t, c)).ListGroups(ctx)
			if err == nil && gs[group].State != "Empty" {
				err = fmt.Errorf("group %s is %q", group, gs[group].State)
			}
			return err
		})
	}
}

// sync syncs, and fails the test where it couldn't.
func sync1(t testing.TB, s Syncer, v View) Report {
	t.Helper()
	r, err := s.Sync(ctxOf(t), v)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// kinds are the report's events, as kind and place.
func kinds(r Report) []string {
	var ks []string
	for _, e := range r.Events {
		place := e.Topic + e.Group
		if place != "" {
			place = " " + place
		}
		ks = append(ks, string(e.Kind)+place)
	}
	slices.Sort(ks)
	return ks
}

func ptr(s string) *string { return &s }

// putACLs creates entries, and waits until they are seen.
func (p *pair) putACLs(adm *kadm.Client, where string, acls []ACL) {
	p.t.Helper()
	cl := p.clusterOf(adm)
	s := &ACLs{sides: Sides{Target: cl}}
	for i, err := range s.create(ctxOf(p.t), acls) {
		if err != nil {
			p.t.Fatalf("%s: %s: %v", where, acls[i], err)
		}
	}
	p.awaitACLs(cl, acls, true)
}

func (p *pair) dropACLs(adm *kadm.Client, acls []ACL) {
	p.t.Helper()
	cl := p.clusterOf(adm)
	s := &ACLs{sides: Sides{Target: cl}}
	for i, err := range s.remove(ctxOf(p.t), acls) {
		if err != nil {
			p.t.Fatalf("%s: %v", acls[i], err)
		}
	}
	p.awaitACLs(cl, acls, false)
}

func (p *pair) clusterOf(adm *kadm.Client) *rawkafka.Cluster {
	if adm == p.sides.Source.Admin() {
		return p.sides.Source
	}
	return p.sides.Target
}

func (p *pair) awaitACLs(cl *rawkafka.Cluster, acls []ACL, there bool) {
	p.t.Helper()
	testkafka.Eventually(p.t, time.Minute, func(ctx context.Context) error {
		got, _, err := describeACLs(ctx, cl)
		for _, a := range acls {
			if err == nil && slices.Contains(got, a) != there {
				err = fmt.Errorf("%s: there is %v", a, !there)
			}
		}
		return err
	})
}

// hideGroups makes a fake list no groups, until show is called.
func hideGroups(c testkafka.Cluster) (show func()) {
	var shown atomic.Bool
	k := testkafka.Kfake(c)
	k.ControlKey(int16(kmsg.ListGroups), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		return kreq.ResponseKind(), nil, !shown.Load()
	})
	return func() { shown.Store(true) }
}

// pendingCommit begins a transaction with a commit, which end commits.
func (p *pair) pendingCommit(group string, topic Topic, at int64) (end func()) {
	p.t.Helper()
	cl, err := kgo.NewClient(append(p.from.Opts(), kgo.TransactionalID("tx-"+group), kgo.DefaultProduceTopic(topic.Source))...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(cl.Close)
	ctx := ctxOf(p.t)
	if err := cl.BeginTransaction(); err != nil {
		p.t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
		p.t.Fatal(err)
	}
	id, epoch, err := cl.ProducerID(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	add := kmsg.NewPtrAddOffsetsToTxnRequest()
	add.TransactionalID, add.ProducerID, add.ProducerEpoch, add.Group = "tx-"+group, id, epoch, group
	if r, err := add.RequestWith(ctx, cl); err != nil || r.ErrorCode != 0 {
		p.t.Fatal(r, err)
	}
	tx := kmsg.NewPtrTxnOffsetCommitRequest()
	tx.TransactionalID, tx.ProducerID, tx.ProducerEpoch, tx.Group, tx.Generation = "tx-"+group, id, epoch, group, -1
	tt := kmsg.NewTxnOffsetCommitRequestTopic()
	tt.Topic, tt.TopicID = topic.Source, topic.SourceID
	tp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	tp.Offset, tp.Metadata = at, ptr("at "+fmt.Sprint(at))
	tt.Partitions = append(tt.Partitions, tp)
	tx.Topics = append(tx.Topics, tt)
	r, err := tx.RequestWith(ctx, cl)
	if err != nil || len(r.Topics) > 0 && r.Topics[0].Partitions[0].ErrorCode != 0 {
		p.t.Fatal(r, err)
	}
	return func() {
		if err := cl.EndTransaction(ctx, kgo.TryCommit); err != nil {
			p.t.Fatal(err)
		}
	}
}

// tick waits for the next moment to look.
func tick(t testing.TB, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}
