package backup

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// The ledger is no topic to back up, unless it is named.
func TestLedgerIsLeftOut(t *testing.T) {
	cl := testkafka.Fake(t, testkafka.Options{})
	c, err := rawkafka.Connect(t.Context(), cl.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	if _, err := kadm.NewClient(testkafka.Client(t, cl)).CreateTopics(t.Context(), 1, 1, nil, ledger.Topic, "orders"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		topics []string
		want   bool
	}{{nil, false}, {[]string{".*"}, false}, {[]string{ledger.Topic}, true}} {
		selected, leftOut, err := selectTopics(t.Context(), c, Config{Topics: tt.topics})
		if err != nil {
			t.Fatal(err)
		}
		if _, got := selected[ledger.Topic]; got != tt.want || len(leftOut) > 0 && !tt.want {
			t.Errorf("%v: selected %v, left out %v", tt.topics, selected, leftOut)
		}
	}
}
