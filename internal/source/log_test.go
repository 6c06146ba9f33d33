package source

import (
	"testing"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// TestParted: where a log parts from the one that was copied is where the epoch of the last copied
// batch ends; where the log doesn't have that epoch at all, its start.
func TestParted(t *testing.T) {
	known := func(leader int32, end int64) rawkafka.EpochEnd {
		return rawkafka.EpochEnd{LeaderEpoch: leader, EndOffset: end}
	}
	log := func(current int32, end rawkafka.EpochEnd) Log {
		return Log{Start: 10, End: 200, CurrentEpoch: current, EpochEnd: end}
	}
	last := Last{End: 80, Epoch: 5}
	for _, tt := range []struct {
		name string
		log  Log
		last Last
		at   int64
		part bool
	}{
		{"the same epoch", log(5, known(5, 200)), last, 0, false},
		{"a later one, which began above", log(7, known(5, 80)), last, 0, false},
		{"it ends below what was copied", log(7, known(5, 70)), last, 70, true},
		{"one before, which ends below", log(7, known(4, 70)), last, 70, true},
		{"one before, which ends above", log(7, known(4, 90)), last, 10, true},
		{"the leader's epoch went back", log(3, known(-1, -1)), last, 10, true},
		{"the leader knows no epochs", log(7, known(-1, -1)), last, 0, false},
		{"nor which one it is in", log(-1, known(-1, -1)), last, 0, false},
		{"nothing was copied", log(7, known(5, 70)), Last{End: 80, Epoch: -1}, 0, false},
		{"what was copied is below the log start", log(7, known(5, 70)), Last{End: 10, Epoch: 5}, 0, false},
	} {
		if at, why := tt.log.Parted(tt.last); at != tt.at || (why != "") != tt.part {
			t.Errorf("%s: at %d, %q", tt.name, at, why)
		}
	}
}
