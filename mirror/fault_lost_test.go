package mirror

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestFaultStandbyBack: an unclean election on the standby takes records away that were durable
// there, while the mirror is up, or down. It says so, and copies them again.
func TestFaultStandbyBack(t *testing.T) {
	for _, up := range []bool{true, false} {
		if !up && !long() {
			continue
		}
		t.Run(fmt.Sprintf("up %t", up), func(t *testing.T) {
			q := newQuiet(t, fmt.Sprintf("back-%t.", up), 2)
			m := q.mirror(t, q.prefix)
			q.reaches(q.hit, q.calm)
			var was *testkafka.Partition
			testkafka.UncleanElection(t, q.standby.Cluster, q.hit, 0, func() {
				q.write(q.hit, 5)
				q.reaches(q.hit)
				was = q.holds(q.hit)
				if !up {
					m.terminate()
				}
			})
			if !up {
				m.start()
			}
			e := m.await(q.hit, StandbyBack)
			t.Log(e)
			if e.Other != was.End || e.Offset >= was.End {
				t.Errorf("the event says [%d, %d), the copy ended at %d", e.Offset, e.Other, was.End)
			}
			q.reaches(q.hit, q.calm)
			q.write(q.hit, 5)
			q.reaches(q.hit, q.calm)
			m.terminate()
			m.unstopped()
		})
	}
}

// TestFaultOvertaken: records that the standby doesn't have are deleted at the source while the
// mirror is down. The partition stops; where the policy says so, it goes on behind a hole.
func TestFaultOvertaken(t *testing.T) {
	q := newQuiet(t, "overtaken.", 3)
	m := q.mirror(t, q.prefix)
	q.reaches(q.hit, q.calm)
	was := q.holds(q.hit)
	m.terminate()
	q.write(q.hit, 20)
	var to kadm.Offsets
	to.AddOffset(q.hit, 0, was.End+30, -1)
	if res, err := q.adm.DeleteRecords(t.Context(), to); err != nil || res.Error() != nil {
		t.Fatal(err, res.Error())
	}
	m.start()
	e := m.await(q.hit, Overtaken)
	t.Log(e)
	if e.Offset != was.End || e.Other != was.End+30 {
		t.Errorf("the event says [%d, %d), want [%d, %d)", e.Offset, e.Other, was.End, was.End+30)
	}
	q.goesOn(m, was)
	m.terminate()
	m.job.Policies = Policies{Overtaken: GoOn}
	m.start()
	q.reaches(q.hit, q.calm)
	q.write(q.hit, 3)
	q.reaches(q.hit, q.calm)
	m.terminate()
}

// TestFaultChaos: faults of all kinds on both sides in any order, while the mirror is killed now
// and then. The long run only.
func TestFaultChaos(t *testing.T) {
	if !long() {
		t.Skip("KAFKADR_LONG isn't set")
	}
	p := newPair(t)
	l := startLoad(t, p.source, p.standby, "chaos.", p.random.Uint64(), 500*time.Millisecond)
	m := p.mirror(t, "chaos.")
	l.same(p.standby, "", time.Minute)
	faults := append(brokerFaults(), networkFaults()...)
	for round := range 60 {
		f, s := faults[p.random.IntN(len(faults))], []side{p.source, p.standby}[p.random.IntN(2)]
		kills := p.random.IntN(4)
		t.Logf("round %d: %s: %s, with %d kills", round, s.name, f.name, kills)
		waits := make([]time.Duration, kills)
		for i := range waits {
			waits[i] = between(p.random, 0, 10*time.Second)
		}
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			for _, wait := range waits {
				<-time.After(wait)
				m.kill()
				m.start()
			}
		}()
		f.do(p, s, l.topics)
		<-killed
		m.running()
		l.same(p.standby, "", 3*time.Minute)
	}
	l.settled(p.standby, "", 3*time.Minute)
	l.groupInStep(p.standby)
	m.terminate()
	m.unstopped()
}
