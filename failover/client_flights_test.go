package failover

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testpass"
)

// boarded is a flight of a session with as many records as there may be.
func boarded(c *Client, s *session, promise func(*kgo.Record, error)) *flight {
	c.box.flights.open = nil
	var f *flight
	for range flightSize {
		f = c.board(context.Background(), s, one("x"), promise, 1, false)
	}
	return f
}

func TestFlightAnswersAnyOrder(t *testing.T) {
	c, s := &Client{}, &session{acked: &marks{by: map[topicPartition]*int64{}}}
	c.acks.easy.Store(s)
	var got []*kgo.Record
	f := boarded(c, s, func(r *kgo.Record, err error) {
		if err != nil {
			t.Error(err)
		}
		got = append(got, r)
	})
	order := []int{3, 0, 7, 1, 2, 6, 4, 5}
	for n, i := range order {
		if f.over() {
			t.Errorf("over after %d", n)
		}
		f.recs[i].Partition = int32(i)
		f.done(f.recs[i], nil)
	}
	for n, i := range order {
		if got[n] != f.recs[i] {
			t.Errorf("answer %d is of another record", n)
		}
	}
	if records, bytes := weighed(s.landed.Load()); records != flightSize || bytes != flightSize || !f.over() {
		t.Errorf("%d records of %d bytes, over: %v", records, bytes, f.over())
	}
}

// size counts flights.
func (l *flights) size() (n int) {
	for f := l.head; f != nil; f = f.next {
		n++
	}
	return n + len(l.spare)
}

// TestFlightsBounded: however long records wait for their answer, those behind them don't keep
// their flights.
func TestFlightsBounded(t *testing.T) {
	testpass.NoRaces(t)
	const inFlight, rounds = 10, 100_000
	for _, stuck := range []int{0, 1, 3, 100} { // of a partition without a leader
		c, s := &Client{}, &session{}
		l := &c.box.flights
		for range stuck {
			boarded(c, s, nil)
		}
		var under []*flight
		for i := range rounds {
			under = append(under, boarded(c, s, nil))
			if len(under) > inFlight {
				under[0].answered.Store(1<<flightSize - 1)
				under = under[1:]
			}
			if i%1000 == 0 {
				l.trim()
			}
			if n := l.size(); n > 8*(inFlight+stuck) {
				t.Fatalf("round %d: %d flights for %d, and %d that wait", i, n, inFlight+1, stuck)
			}
		}
		for _, f := range under {
			f.answered.Store(1<<flightSize - 1)
		}
		l.trim()
		l.trim() // nothing was needed in between
		if n := l.size(); n != stuck {
			t.Errorf("%d flights, and %d that wait", n, stuck)
		}
	}
}

// TestFlightsGivenBack: what kgo gives back, a partition after the other, is in the order in which
// it was produced again, among entries.
func TestFlightsGivenBack(t *testing.T) {
	c, s := &Client{}, &session{}
	c.last = s
	var want []*kgo.Record
	var first []*flight
	for range 3 {
		f := boarded(c, s, nil)
		first = append(first, f)
		for i := range f.n {
			want = append(want, f.recs[i])
		}
		e := c.box.entry(context.Background(), one("y"), nil)
		c.box.enlist(e)
		c.box.push(e)
		want = append(want, e.rec)
	}
	for odd := range 2 {
		for _, f := range first {
			for i := odd; i < f.n; i += 2 {
				c.land(f, i)
			}
		}
	}
	all := c.box.all()
	if len(all) != len(want) {
		t.Fatalf("%d of %d", len(all), len(want))
	}
	for i, e := range all {
		if e.rec != want[i] {
			t.Errorf("%d is another record", i)
		}
	}
	if len(first) != 3 || !first[2].over() {
		t.Error("a flight that was given back isn't over")
	}
}

// TestWeight: sums may be carried over.
func TestWeight(t *testing.T) {
	const most = 1 << 35
	for _, start := range []uint64{0, math.MaxUint64 - 5, 1<<weightBits - 1, math.MaxUint64 - 1<<weightBits} {
		given, landed := start, start
		var bytes int64
		for _, size := range []int64{0, 1, 100, most, most - 1000} {
			given += weight(size)
			bytes += size
		}
		if n, got := weighed(given - landed); n != 5 || got != bytes {
			t.Errorf("from %d: %d records of %d bytes", start, n, got)
		}
		landed += weight(most)
		if n, got := weighed(given - landed); n != 4 || got != bytes-most {
			t.Errorf("from %d: %d records of %d bytes are left", start, n, got)
		}
	}
}

// TestClientGivesBackAsKgo: a record that can't be produced comes back as kgo gives it back,
// whichever way it was noted.
func TestClientGivesBackAsKgo(t *testing.T) {
	s := newStage(t, "t")
	plain, err := kgo.NewClient(s.a.Opts()...)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, c := range map[string]*Client{"flight": s.client(nil), "entry": s.client(func(cfg *Config) { cfg.Replay = &Replay{} })} {
		for _, written := range []kgo.Record{{Topic: "unknown", Partition: 3}, {Topic: "unknown", Partition: 3, Offset: 5, LeaderEpoch: 7}} {
			want, got := written, written
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			wanted, err := plain.ProduceSync(ctx, &want).FirstErr(), c.ProduceSync(ctx, &got).FirstErr()
			cancel()
			if wanted == nil || err == nil || got.Partition != want.Partition || got.Offset != want.Offset || got.LeaderEpoch != want.LeaderEpoch || got.Context != want.Context {
				t.Errorf("%s: %v: %+v, and kgo's %v: %+v", name, err, got, wanted, want)
			}
		}
	}
}

// addsHeader is a hook as tracers have it: it changes a record that kgo has taken.
type addsHeader struct{}

func (addsHeader) OnProduceRecordBuffered(r *kgo.Record) {
	r.Headers = append(r.Headers, kgo.RecordHeader{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")})
}

// TestClientCountsWithHooks has a hook add headers to records, in each way that they are noted:
// what was counted when they were taken is what is counted when they are over, and a buffer that is
// full gets room again.
func TestClientCountsWithHooks(t *testing.T) {
	for name, set := range map[string]func(*Config){
		"flights": func(*Config) {}, "replay": func(cfg *Config) { cfg.Replay = &Replay{} },
		"entries": func(cfg *Config) { cfg.Opts = append(cfg.Opts, kgo.RecordDeliveryTimeout(time.Minute)) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s *sim) {
				c := s.client(set, kgo.WithHooks(addsHeader{}), kgo.MaxBufferedRecords(100), kgo.MaxBufferedBytes(4000))
				err := s.within(time.Minute, func(ctx context.Context) error {
					for n := range 2000 {
						c.Produce(ctx, one(fmt.Sprint(n)), nil)
					}
					return c.Flush(ctx)
				})
				if err != nil {
					s.Error(err)
				}
				if n, b := c.BufferedProduceRecords(), c.BufferedProduceBytes(); n != 0 || b != 0 {
					s.Errorf("%d records of %d bytes are left", n, b)
				}
				s.deaf.Store(true)
				c.Produce(s.Context(), one("0123456789"), nil)
				pause(s.Context(), time.Second)
				s.closes("a", "b", false)
				pause(s.Context(), 11*time.Second)
				if b := c.BufferedProduceBytes(); b != 10 {
					s.Errorf("%d bytes of a record that kgo has given back, want 10", b)
				}
			})
		})
	}
}
