package backup_test

import (
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A topic in tiered storage is whole in the archive, also where the storage stands still for a
// while.
func TestRealTiered(t *testing.T) {
	c := testkafka.Real(t, testkafka.Options{Tiered: true})
	testkafka.FillTiered(t, c, "tiered", 500)
	a := archive(t, bucket(t))
	release := testkafka.StallRemote(t, c, "tiered")
	stalled := time.AfterFunc(4*time.Second, release)
	defer stalled.Stop()
	r, err := backup.Run(t.Context(), backup.Config{Source: c.Opts(), Archive: a, Topics: []string{"tiered"}})
	if err != nil {
		t.Fatal(err)
	}
	if stalled.Stop() {
		t.Error("the storage hadn't answered yet")
	}
	if st := stateOf(t, open(t, a, r.Snapshot.ID), "tiered", 0); st.StartOffset != 0 || st.EndOffset != 500 || st.Records != 500 || len(st.Holes) > 0 {
		t.Errorf("%+v", st)
	}
}
