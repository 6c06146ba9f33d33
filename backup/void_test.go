package backup_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A source that answers without data, as tiered storage does that is slow, is asked again: no hole
// comes of it.
func TestRunSlowSource(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	produce(t, c, "t", 0, 0, 20, 5)
	left := 3
	testkafka.AnswerEmpty(c, 20, func(*kmsg.FetchRequest) bool {
		left--
		return left >= 0
	})
	a := archive(t, bucket(t))
	r, err := backup.Run(t.Context(), backup.Config{Source: source(c), Archive: a})
	if err != nil {
		t.Fatal(err)
	}
	if st := stateOf(t, open(t, a, r.Snapshot.ID), "t", 0); st.EndOffset != 20 || len(st.Holes) > 0 || st.Records != 20 {
		t.Errorf("%+v", st)
	}
}

// What it never gets leaves the snapshot incomplete, and says so; the partition beside it is whole.
func TestRunNothingRead(t *testing.T) {
	c := fake(t, kfake.NumBrokers(1), kfake.SeedTopics(1, "t", "u"))
	produce(t, c, "t", 0, 0, 20, 5)
	produce(t, c, "u", 0, 0, 20, 5)
	id := c.TopicInfo("t").TopicID
	testkafka.AnswerEmpty(c, 20, func(req *kmsg.FetchRequest) bool {
		return slices.ContainsFunc(req.Topics, func(t kmsg.FetchRequestTopic) bool { return t.TopicID == id })
	})
	a := archive(t, bucket(t))
	cfg := backup.Impatient(backup.Config{Source: source(c), Archive: a})
	r, err := backup.Run(t.Context(), cfg)
	var empty *rawkafka.EmptyError
	if !errors.As(err, &empty) || empty.Topic != "t" || empty.Offset != 0 || empty.Stable != 20 || r.Snapshot.Complete {
		t.Fatalf("%v", err)
	}
	s := open(t, a, r.Snapshot.ID)
	if st := stateOf(t, s, "t", 0); st.Fault == "" || st.EndOffset != 0 || len(st.Holes) > 0 {
		t.Errorf("%+v", st)
	}
	if st := stateOf(t, s, "u", 0); st.EndOffset != 20 || st.Records != 20 {
		t.Errorf("%+v", st)
	}
}
