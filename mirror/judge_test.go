package mirror

import (
	"testing"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/source"
)

func TestJudge(t *testing.T) {
	note := identity{SourceID: "s", Position: 80, End: 80, Epoch: 5}
	filled := identity{SourceID: "s", Start: 40, Epoch: -1}
	known := func(leader int32, end int64) rawkafka.EpochEnd {
		return rawkafka.EpochEnd{LeaderEpoch: leader, EndOffset: end}
	}
	base := facts{Log: source.Log{Start: 10, End: 200, Stable: 200, High: 200, CurrentEpoch: 5, EpochEnd: known(5, 200)}, standbyStart: 10, standbyEnd: 100, note: note, sourceID: "s", durable: 80}
	for _, tt := range []struct {
		name    string
		change  func(*facts)
		kind    EventKind
		fill    int64
		hole    int64
		compare bool
		wait    bool
	}{
		{name: "goes on", change: func(*facts) {}, fill: -1, hole: -1, compare: true},
		{name: "another topic", change: func(f *facts) { f.sourceID = "x" }, kind: TopicRecreated, fill: -1, hole: -1},
		{name: "new, from 0", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 0, 0, 0, identity{}, -1 }, fill: -1, hole: -1},
		{name: "new, from above", change: func(f *facts) { f.standbyStart, f.standbyEnd, f.note, f.durable = 0, 0, identity{}, -1 }, fill: 10, hole: -1},
		{name: "half filled", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 40, 0, 20, filled, 20 }, fill: 40, hole: -1},
		{name: "half filled, and retention went on", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 60, 0, 20, filled, 20 }, fill: 60, hole: -1},
		{name: "filled, not deleted", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 40, 0, 40, filled, 40 }, fill: 40, hole: -1},
		{name: "filled and deleted", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 40, 40, 40, filled, 40 }, fill: -1, hole: -1},
		{name: "filled, and retention went on", change: func(f *facts) { f.Start, f.standbyStart, f.standbyEnd, f.note, f.durable = 60, 40, 40, filled, 40 }, fill: 60, hole: -1},
		{name: "not ours", change: func(f *facts) { f.note, f.durable = identity{}, -1 }, fill: -1, hole: -1, compare: true},
		{name: "overtaken", change: func(f *facts) { f.Start, f.EpochEnd = 150, known(5, 200) }, kind: Overtaken, fill: -1, hole: 150},
		{name: "source shorter than what was durable", change: func(f *facts) { f.End, f.Stable = 70, 70 }, kind: Truncated, fill: -1, hole: -1},
		{name: "standby ahead", change: func(f *facts) { f.End, f.Stable = 90, 90 }, kind: StandbyAhead, fill: -1, hole: -1},
		{name: "a leader that lags", change: func(f *facts) { f.Stable = 90 }, fill: -1, hole: -1, wait: true},
		{name: "epoch ends below", change: func(f *facts) { f.CurrentEpoch, f.EpochEnd = 7, known(5, 70) }, kind: Truncated, fill: -1, hole: -1},
		{name: "epoch isn't known any more", change: func(f *facts) { f.CurrentEpoch, f.EpochEnd = 7, known(4, 90) }, kind: Truncated, fill: -1, hole: -1},
		{name: "epoch went back", change: func(f *facts) { f.CurrentEpoch = 3 }, kind: Truncated, fill: -1, hole: -1},
		{name: "the leader knows no epochs", change: func(f *facts) { f.CurrentEpoch, f.EpochEnd = 7, known(-1, -1) }, fill: -1, hole: -1, compare: true},
		{name: "epochs below the log start mean nothing", change: func(f *facts) { f.Start, f.CurrentEpoch, f.EpochEnd = 90, 7, known(6, 70) }, fill: -1, hole: -1, compare: true},
		{name: "standby back", change: func(f *facts) { f.standbyEnd = 60 }, kind: StandbyBack, fill: -1, hole: -1, compare: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := base
			tt.change(&f)
			v := f.judge()
			if v.ev.Kind != tt.kind || v.fill != tt.fill || v.hole != tt.hole || v.compare != tt.compare || v.wait != tt.wait {
				t.Errorf("%+v", v)
			}
			if v.ev.Kind != "" && v.ev.Detail == "" {
				t.Error("no detail")
			}
		})
	}
}
