package exactcopy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// TestSchedules copies a stream of records and holes while processes die, answers are lost or late,
// leaders forget producers, lag, and are replaced by ones that lack the log's end: each schedule is
// drawn by its seed, in simulated time, at generations of the producer id that last a few holes,
// from 0 on or across their wrap. Every offset holds what it must: nothing is doubled, lost, moved.
// 300 schedules, 10 000 where KAFKADR_LONG is set; KAFKADR_SEED runs one.
func TestSchedules(t *testing.T) {
	count := 300
	if os.Getenv("KAFKADR_LONG") != "" {
		count = 10_000
	}
	seeds := testpass.Few(t, 60, testpass.Seeds(count))
	if n, err := strconv.ParseUint(os.Getenv("KAFKADR_SEED"), 10, 64); err == nil {
		seeds = []uint64{n}
	}
	var all scheduled
	for _, seed := range seeds {
		if t.Failed() {
			break
		}
		synctest.Test(t, func(t *testing.T) {
			s := schedule(t, seed)
			all.faults, all.deaths, all.generations = all.faults+s.faults, all.deaths+s.deaths, all.generations+s.generations
		})
	}
	t.Logf("%d schedules: %d faults, %d deaths of processes, %d generations begun", len(seeds), all.faults, all.deaths, all.generations)
}

type scheduled struct{ faults, deaths, generations int }

func schedule(t *testing.T, seed uint64) (s scheduled) {
	rnd := rand.New(rand.NewPCG(seed, 11))
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
	cfg := Config{JoinBelow: -1, epochs: int16(3 + rnd.IntN(6)), first: uint16(rnd.IntN(3) * (generations - 1))}
	tg := connect(t, kafka, cfg)
	name := tg.topic("t", 1, 3, nil)[0]
	const faults = 30
	all, round := context.WithCancel(t.Context())
	defer round()
	m := newModel(t, testkafka.Kfake(kafka), name, rnd, faults, round)
	want := newStream(seed, 0, 150+rnd.IntN(150))
	if rnd.IntN(2) == 0 {
		want = newEven(rnd, 150)
	}
	var said strings.Builder
	cfg.OnRetry = func(op string, err error) { fmt.Fprintf(&said, "%s: %v\n", op, err) }
	for done := false; !done; s.deaths++ {
		life := time.Duration(rnd.Int64N(int64(40 * time.Second)))
		if s.deaths > 4 {
			life = time.Hour
		}
		ctx, die := context.WithTimeout(all, life)
		c := tg.newCopier(cfg)
		err := copyStream(ctx, c, name, want)
		died := ctx.Err() != nil
		die()
		c.Close()
		if done = err == nil; !done && (!died || s.deaths > 5 || all.Err() != nil) {
			t.Errorf("seed %d: %v\n%s", seed, err, said.String())
			break
		}
	}
	m.wg.Wait() // what is late may still come
	m.mu.Lock()
	defer m.mu.Unlock()
	s.faults, s.generations = faults-m.faults, m.begun()
	m.check(seed, want, said.String())
	return s
}

// begun is how many generations of the producer id the log has.
func (m *modelLog) begun() int {
	pids := make(map[int64]bool)
	for _, b := range m.log {
		pids[b.pid] = true
	}
	return len(pids)
}

// check compares the log with the stream.
func (m *modelLog) check(seed uint64, want stream, said string) {
	if m.end() != int64(len(want.kinds)) {
		m.t.Errorf("seed %d: the log ends at %d, want %d\n%s", seed, m.end(), len(want.kinds), said)
		return
	}
	for _, b := range m.log {
		got, err := batch.Parse(b.raw)
		if err != nil {
			m.t.Fatal(err)
		}
		rs, err := batch.Decode(got, 0)
		if err != nil && !got.Control() {
			m.t.Fatal(err)
		}
		for o := b.base; o < b.end; o++ {
			switch {
			case want.kinds[o] == got.Control():
				m.t.Errorf("seed %d: offset %d: a record is %v, a marker %v\n%s", seed, o, want.kinds[o], got.Control(), said)
				return
			case !got.Control() && string(rs[o-b.base].Value) != fmt.Sprintf("record %d", o):
				m.t.Errorf("seed %d: offset %d holds %q\n%s", seed, o, rs[o-b.base].Value, said)
				return
			}
		}
	}
}
