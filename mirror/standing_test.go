package mirror

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
	"github.com/kafkadr/kafkadr/mirror/internal/standby"
)

// Of a mirror that has heard nothing yet nothing is known: not that nothing is missing.
func TestUnknownStatus(t *testing.T) {
	m, err := New(Config{Name: "f", Source: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Target: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:2")}})
	if err != nil {
		t.Fatal(err)
	}
	s := m.Status()
	for what, n := range map[string]float64{
		"source's age": float64(s.RPO.SourceAgeMillis), "heartbeat's age": float64(s.Heartbeat.AgeMillis), "heartbeat's latency": s.Heartbeat.LatencyMillis, "groups' age": float64(s.Groups.AgeMillis),
	} {
		if n != -1 {
			t.Errorf("%s: %v, want -1", what, n)
		}
	}
}

// What has stopped isn't up to date, however it was then: its source's end isn't known any more,
// and its age grows.
func TestStoppedRPO(t *testing.T) {
	now := time.Now()
	why := &EventError{Event: Event{Kind: ForeignWriter, Time: now.Add(-time.Minute)}}
	for _, tt := range []struct {
		name    string
		p       part
		records int64
		lag     int64 // milliseconds
	}{
		{"caught up", part{topic: &topic{}, Following: hasStopped(), why: why, hw: 20, lso: 20, copy: copyAt(20, 20)}, 0, 0},
		{"never begun", part{topic: &topic{}, Following: hasStopped(), why: why, hw: 20, lso: 20, copy: copyAt(5, -1)}, 15, time.Minute.Milliseconds()},
		{"not known", part{topic: &topic{}, Following: hasStopped(), why: why, hw: -1, lso: -1, copy: copyAt(-1, -1)}, 0, 0},
	} {
		var r RPO
		r.add(&tt.p, tt.p.status(now), now)
		if want := (RPO{Records: tt.records, Unknown: 1, AgeMillis: time.Minute.Milliseconds()}); r != want {
			t.Errorf("%s: %+v, want %+v", tt.name, r, want)
		}
		if got := tt.p.status(now).LagMillis; got != tt.lag {
			t.Errorf("%s: lag %d ms, want %d", tt.name, got, tt.lag)
		}
	}
}

// Where somebody else writes again and again, there is a pause before each look but the first.
func TestMovedOften(t *testing.T) {
	e := &engine{parts: map[rawkafka.Partition]*part{}, wake: make(chan struct{}, 1)}
	p := &part{topic: &topic{}}
	if e.movedOften(p) || !p.Unlooked() {
		t.Error("the first time isn't looked at at once")
	}
	if !e.movedOften(p) || p.Unlooked() || p.Due(time.Now()) {
		t.Error("the second time is looked at at once")
	}
}

// isRead is of a partition that is read, hasStopped of one that has stopped.
func isRead() (f source.Following) {
	f.Turn(source.Right)
	return f
}

func hasStopped() (f source.Following) {
	f.Turn(source.Stop)
	return f
}

// copyAt is a copy that has got so far.
func copyAt(position, durable int64) *standby.Copy {
	c := standby.New(nil, nil, rawkafka.Partition{})
	c.Begin(position, durable)
	return c
}
