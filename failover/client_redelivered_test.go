package failover

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestClientRedelivered holds that a report counts what a consumer gets again, and not what is new
// at offsets that it had been at: those that the copy lacked.
func TestClientRedelivered(t *testing.T) {
	bubble(t, func(s *sim) {
		t := s.T
		c := s.client(nil, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ConsumerGroup("g"), kgo.ConsumeTopics(simTopic), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		cp := startCopy(t, s.a, s.b, 6, s.pace())
		produce := func(from, n int) {
			for i := range n {
				if err := c.ProduceSync(t.Context(), one(fmt.Sprint(from+i))).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
		}
		poll := func(n int) (values []string) {
			for len(values) < n {
				for _, r := range c.PollRecords(t.Context(), 4).Records() {
					values = append(values, string(r.Value))
				}
			}
			return values
		}
		produce(0, 10)
		poll(10)
		pause(t.Context(), 10*time.Second)
		s.forced(c, cp)
		produce(100, 5)
		if got, want := fmt.Sprint(poll(11)), "[0 1 2 3 4 5 100 101 102 103 104]"; got != want {
			t.Errorf("polled %s, want %s", got, want)
		}
		if r := c.Status().Last; r.Redelivered != 6 || r.To != "b" {
			t.Errorf("%+v", r)
		}
	})
}

// TestTranslateUnlocked: while [Config.Translate] thinks, the next session may take over.
func TestTranslateUnlocked(t *testing.T) {
	at := topicPartition{"t", 0}
	first, second, third := &session{}, &session{}, &session{}
	first.epoch.Number, second.epoch.Number, third.epoch.Number = 2, 4, 6
	first.epoch.Active, second.epoch.Active, third.epoch.Active = "a", "b", "a"
	c := &Client{report: &ClientReport{}}
	c.consuming = consuming{c: c}
	c.cfg.Translate = func(context.Context, string, string, string, int32, int64) (int64, bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		third.positions.inherit(second)
		return 3, true
	}
	first.positions.polled = map[topicPartition]int64{at: 10}
	second.positions.inherit(first)
	fs := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "t", Partitions: []kgo.FetchPartition{{Records: []*kgo.Record{{Offset: 2}, {Offset: 3}}}}}}}}
	c.translate(t.Context(), second, fs)
	c.polled(second, fs)
	if c.report.Redelivered != 1 || third.positions.earlier[at].offset != 10 {
		t.Errorf("%d delivered again, %v left", c.report.Redelivered, third.positions.earlier)
	}
}

// TestPositions: what a session hasn't passed yet it leaves to the next, in whichever log it was.
func TestPositions(t *testing.T) {
	at := func(p int32) topicPartition { return topicPartition{"t", p} }
	first, second, third := &session{}, &session{}, &session{}
	first.epoch.Number, second.epoch.Number, third.epoch.Number = 2, 4, 6
	first.positions.polled = map[topicPartition]int64{at(0): 10, at(1): 20, at(2): 30}
	second.positions.inherit(first)
	second.positions.polled = map[topicPartition]int64{at(0): 7, at(3): 5}
	second.positions.earlier[at(1)] = consumed{second.epoch, 18} // carried over, and not passed
	third.positions.inherit(second)
	want := map[topicPartition]struct {
		number int64
		offset int64
	}{at(0): {4, 7}, at(1): {4, 18}, at(2): {2, 30}, at(3): {4, 5}}
	if len(third.positions.earlier) != len(want) {
		t.Errorf("%+v", third.positions.earlier)
	}
	for at, w := range want {
		if got := third.positions.earlier[at]; got.epoch.Number != w.number || got.offset != w.offset {
			t.Errorf("%v: %+v, want %+v", at, got, w)
		}
	}
}
