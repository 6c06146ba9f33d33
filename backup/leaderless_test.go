package backup_test

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestRunLeaderless: a partition that has no leader yet, and a topic that is being made, are waited
// for; one that gets none is named.
func TestRunLeaderless(t *testing.T) {
	made := func(t *testing.T) testkafka.Cluster {
		src := testkafka.Fake(t, testkafka.Options{})
		testkafka.Create(t, src, 1, 1, nil, "t")
		if err := testkafka.Client(t, src).ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return src
	}
	for name, whole := range map[string]bool{"partition": false, "topic": true} {
		t.Run(name, func(t *testing.T) {
			src := made(t)
			time.AfterFunc(2*time.Second, testkafka.Leaderless(t, src, "t", whole))
			r, err := backup.Run(t.Context(), backup.Config{Source: src.Opts(), Archive: archive(t, bucket(t))})
			if err != nil || !r.Snapshot.Complete || r.Snapshot.Records != 1 {
				t.Error(r, err)
			}
		})
	}
	src := made(t)
	testkafka.Leaderless(t, src, "t", false)
	r, err := backup.Run(t.Context(), backup.Impatient(backup.Config{Source: src.Opts(), Archive: archive(t, bucket(t))}))
	var partial *backup.PartialError
	var place *backup.PartitionError
	if !errors.As(err, &partial) || !errors.As(err, &place) || place.Topic != "t" || r.Snapshot.Complete {
		t.Error(r, err)
	}
}
