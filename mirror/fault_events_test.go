package mirror

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// quiet is a source that is written to only when a test says so: two topics, one that something
// happens to and one that goes on.
type quiet struct {
	*faultPair
	*faultLoad
	client    *kgo.Client
	hit, calm string
}

// newQuiet makes the topics under prefix; the one to be hit has that many replicas.
func newQuiet(t *testing.T, prefix string, replicas int16) *quiet {
	t.Helper()
	p := newPair(t)
	l := &faultLoad{TB: t, kafka: p.source, prefix: prefix, adm: freshAdmin(t, p.source)}
	q := &quiet{faultPair: p, faultLoad: l, client: testkafka.Client(t, p.source, kgo.RecordPartitioner(kgo.ManualPartitioner()))}
	q.hit = l.create("hit", 1, replicas, "min.insync.replicas", "1", "retention.ms", "-1")
	q.calm = l.create("calm", 1, 3)
	q.write(q.hit, 10)
	q.write(q.calm, 10)
	return q
}

// write produces n batches to the topic.
func (q *quiet) write(topic string, n int) {
	q.faultPair.Helper()
	for range n {
		testkafka.Eventually(q.faultPair, time.Minute, func(ctx context.Context) error {
			return q.client.ProduceSync(ctx, records(q.random, topic, 1)...).FirstErr()
		})
	}
}

// alike produces n records that are equal in all but their offsets.
func (q *quiet) alike(n int) {
	q.faultPair.Helper()
	var rs []*kgo.Record
	for range n {
		rs = append(rs, &kgo.Record{Topic: q.hit, Value: []byte("alike"), Timestamp: time.UnixMilli(1_700_000_000_000)})
	}
	if err := q.client.ProduceSync(q.faultPair.Context(), rs...).FirstErr(); err != nil {
		q.faultPair.Fatal(err)
	}
}

// reaches waits until the standby has all of the topics.
func (q *quiet) reaches(topics ...string) {
	q.faultPair.Helper()
	only := &faultLoad{TB: q.faultPair, kafka: q.kafka, prefix: q.prefix, adm: q.adm}
	for _, t := range topics {
		only.topics = append(only.topics, loadTopic{name: t, partitions: 1})
	}
	only.compare(q.standby, "", time.Minute, true, false, true)
}

// holds reads what the standby holds of a topic.
func (q *quiet) holds(topic string) *testkafka.Partition {
	q.faultPair.Helper()
	return readPrefixed(q.faultPair, q.standby, "", []string{topic}, nil, true).Topics[topic][0]
}

// unchanged fails the test unless the standby's copy is what it was.
func (q *quiet) unchanged(topic string, was *testkafka.Partition) {
	q.faultPair.Helper()
	one := func(p *testkafka.Partition) *testkafka.Content {
		return &testkafka.Content{Topics: map[string]map[int32]*testkafka.Partition{topic: {0: p}}}
	}
	for _, d := range testkafka.Equal(one(was), one(q.holds(topic))) {
		q.faultPair.Errorf("the copy has changed: %s", d)
	}
}

// goesOn fails the test unless the other topic is mirrored as before, and nothing happens to the
// copy of the one that was hit.
func (q *quiet) goesOn(m *process, was *testkafka.Partition) {
	q.faultPair.Helper()
	q.write(q.hit, 3)
	q.write(q.calm, 3)
	q.reaches(q.calm)
	q.write(q.calm, 3)
	q.reaches(q.calm)
	m.running()
	if was != nil {
		q.unchanged(q.hit, was)
	}
}

// recreate deletes the source's topic and makes it anew.
func (q *quiet) recreate(topic string, batches int) {
	q.faultPair.Helper()
	if _, err := q.adm.DeleteTopic(q.faultPair.Context(), topic); err != nil {
		q.faultPair.Fatal(err)
	}
	kept := slices.Clone(q.topics)
	q.create(topic[len(q.prefix):], 1, 3)
	q.topics = kept
	q.client.PurgeTopicsFromClient(topic)
	q.write(topic, batches)
}

// TestFaultRecreated: the source's topic is re-created while the mirror is down, or up, and is then
// shorter or longer than it was. Nothing is copied onto the old log; where the policy says so, the
// copy begins anew.
func TestFaultRecreated(t *testing.T) {
	for _, c := range []struct {
		name    string
		batches int
		up      bool
	}{{"down, shorter", 1, false}, {"down, longer", 30, false}, {"up, longer", 30, true}} {
		t.Run(c.name, func(t *testing.T) {
			q := newQuiet(t, fmt.Sprintf("recreated-%d-%t.", c.batches, c.up), 3)
			m := q.mirror(t, q.prefix)
			q.reaches(q.hit, q.calm)
			was := q.holds(q.hit)
			if !c.up {
				m.terminate()
			}
			q.recreate(q.hit, c.batches)
			if !c.up {
				m.start()
			}
			e := m.await(q.hit, TopicRecreated)
			t.Log(e)
			q.goesOn(m, was)
			m.terminate()

			m.job.Policies = Policies{TopicRecreated: Recreate}
			m.start()
			q.reaches(q.hit, q.calm)
			q.write(q.hit, 3)
			q.reaches(q.hit, q.calm)
			m.terminate()
		})
	}
}

// TestFaultTruncated: an unclean election at the source takes records away that the standby has,
// while the mirror is down, or up; then the log grows again, beyond where it was. The partition
// stops, and nothing is copied onto what was lost.
func TestFaultTruncated(t *testing.T) {
	for _, up := range []bool{false, true} {
		if up && !long() {
			continue
		}
		t.Run(fmt.Sprintf("up %t", up), func(t *testing.T) {
			q := newQuiet(t, fmt.Sprintf("truncated-%t.", up), 2)
			m := q.mirror(t, q.prefix)
			q.reaches(q.hit, q.calm)
			fork := q.holds(q.hit).End
			var was *testkafka.Partition
			testkafka.UncleanElection(t, q.source.Cluster, q.hit, 0, func() {
				q.write(q.hit, 5)
				q.reaches(q.hit)
				was = q.holds(q.hit)
				if !up {
					m.terminate()
				}
			})
			q.write(q.hit, 20)
			if !up {
				m.start()
			}
			e := m.await(q.hit, Truncated)
			t.Log(e)
			if e.Other != fork || e.Offset != was.End {
				t.Errorf("the event says [%d, %d), the log was cut at %d, the copy ends at %d", e.Other, e.Offset, fork, was.End)
			}
			q.goesOn(m, was)
			m.terminate()
		})
	}
}

// TestFaultForeignWriter: somebody writes to the copy, while the mirror is up and has work (of
// records that differ, or are all alike), is up and idle, or is down. The partition stops, the
// others go on, and what was there before is untouched.
func TestFaultForeignWriter(t *testing.T) {
	for _, c := range []string{"busy", "alike", "idle", "down"} {
		t.Run(c, func(t *testing.T) {
			q := newQuiet(t, "foreign-"+c+".", 3)
			if c == "alike" {
				for range 20 {
					q.alike(10)
				}
			}
			m := q.mirror(t, q.prefix)
			q.reaches(q.hit, q.calm)
			was := q.holds(q.hit)
			if c == "down" {
				m.terminate()
			}
			foreign := testkafka.Client(t, q.standby, kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err := foreign.ProduceSync(t.Context(), &kgo.Record{Topic: q.hit, Value: []byte("foreign")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if c == "down" {
				m.start()
			}
			switch c {
			case "busy", "down":
				q.write(q.hit, 5)
			case "alike": // records that can't be told from one another, but for the foreign one
				for range 20 {
					q.alike(10)
				}
			}
			e := m.await(q.hit, ForeignWriter, Shifted, StandbyAhead)
			t.Log(e)
			then := q.holds(q.hit)
			q.goesOn(m, then)
			if n := len(was.Records); !slices.Equal(was.Records, then.Records[:n]) {
				t.Error("records that were there before have changed")
			}
			m.terminate()
		})
	}
}

// TestFaultStandbyDeleted: the copy is deleted under the mirror. It stops, or, where the policy
// says so, begins anew.
func TestFaultStandbyDeleted(t *testing.T) {
	q := newQuiet(t, "gone.", 3)
	m := q.mirror(t, q.prefix)
	q.reaches(q.hit, q.calm)
	standby := freshAdmin(t, q.standby)
	if _, err := standby.DeleteTopic(t.Context(), q.hit); err != nil {
		t.Fatal(err)
	}
	q.write(q.hit, 3)
	t.Log(m.await(q.hit, StandbyDeleted))
	q.goesOn(m, nil)
	if topics, err := standby.ListTopics(t.Context(), q.hit); err != nil || topics.Has(q.hit) {
		t.Errorf("the copy is there again unasked: %v", err)
	}
	m.terminate()
	m.job.Policies = Policies{StandbyDeleted: GoOn}
	m.start()
	q.reaches(q.hit, q.calm)
	if _, err := standby.DeleteTopic(t.Context(), q.hit); err != nil {
		t.Fatal(err)
	}
	q.write(q.hit, 3)
	m.await(q.hit, StandbyDeleted)
	testkafka.Eventually(t, time.Minute, func(ctx context.Context) error {
		topics, err := standby.ListTopics(ctx, q.hit)
		if err == nil && !topics.Has(q.hit) {
			err = errors.New("the copy isn't there")
		}
		return err
	})
	q.reaches(q.hit, q.calm)
	m.terminate()
}

// TestFaultQuota: the standby throttles what is produced to nearly nothing, under load, and later
// no more.
func TestFaultQuota(t *testing.T) {
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "quota.", p.random.Uint64(), 30*time.Millisecond)
	m := p.mirror(t, "quota.")
	l.same(p.standby, "", time.Minute)
	adm := freshAdmin(t, p.standby)
	quota := func(remove bool) {
		t.Helper()
		entry := kadm.AlterClientQuotaEntry{Entity: kadm.ClientQuotaEntity{{Type: "client-id"}}, Ops: []kadm.AlterClientQuotaOp{{Key: "producer_byte_rate", Value: 10_000, Remove: remove}}}
		res, err := adm.AlterClientQuotas(t.Context(), []kadm.AlterClientQuotaEntry{entry})
		if err != nil || len(res) != 1 || res[0].Err != nil {
			t.Fatalf("quota: %v, %v", res, err)
		}
	}
	quota(false)
	p.pass(3*time.Second, 3*time.Second+longest())
	m.running()
	quota(true)
	l.settled(p.standby, "", 2*time.Minute)
	m.terminate()
	m.unstopped()
}

// TestFaultRights: the mirror's rights on the standby are taken away while it runs, and given back:
// first the right to write, then that to make holes. What it can't do is an event; once it can, it
// goes on by itself.
func TestFaultRights(t *testing.T) {
	random := rand.New(rand.NewPCG(faultSeed(t), 0))
	source := pool.Real(t, testkafka.Options{Brokers: 3, Configs: quick("min.insync.replicas", "2")})
	standby := pool.Real(t, testkafka.Options{Secure: true}).(testkafka.Secured)
	standby.CreateUser(t, "mirror", "mirror-secret")
	all := kadm.NewACLs().Topics("*").Groups("*").TransactionalIDs("*").Operations(kadm.OpAll)
	testkafka.Allow(t, standby, "mirror", all)
	testkafka.Allow(t, standby, "mirror", kadm.NewACLs().Clusters().Operations(kadm.OpAll))
	l := startLoad(t, source, standby, "rights.", random.Uint64(), 30*time.Millisecond)
	m := startProcess(t, childJob{Source: source.Addrs(), Standby: standby.Addrs(), Topics: []string{`rights\..*`}, Name: "rights",
		ReplicationFactor: 1, Login: &childLogin{standby.CAFile(), "mirror", "mirror-secret"}})
	l.same(standby, "", time.Minute)
	adm := freshAdmin(t, standby)

	deny := kadm.NewACLs().Topics("rights.plain").Deny("User:mirror").DenyHosts().Operations(kadm.OpWrite).ResourcePatternType(kadm.ACLPatternLiteral)
	alterACLs(t, adm, deny, true)
	t.Log(m.await("rights.plain", Denied))
	alterACLs(t, adm, deny, false)
	l.same(standby, "", time.Minute)

	m.forget()
	deny = kadm.NewACLs().Clusters().Deny("User:mirror").DenyHosts().Operations(kadm.OpClusterAction, kadm.OpAlter).ResourcePatternType(kadm.ACLPatternLiteral)
	alterACLs(t, adm, deny, true)
	t.Log(m.await("rights.transactions", Denied))
	alterACLs(t, adm, deny, false)
	l.settled(standby, "", time.Minute)
	m.terminate()
	m.unstopped()
}

func alterACLs(t *testing.T, adm *kadm.Client, b *kadm.ACLBuilder, create bool) {
	t.Helper()
	if create {
		res, err := adm.CreateACLs(t.Context(), b)
		for _, r := range res {
			err = errors.Join(err, r.Err)
		}
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	res, err := adm.DeleteACLs(t.Context(), b)
	deleted := 0
	for _, r := range res {
		err = errors.Join(err, r.Err)
		deleted += len(r.Deleted)
	}
	if err != nil || deleted == 0 {
		t.Fatalf("%d ACLs deleted: %v", deleted, err)
	}
}
