package topics_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kafkadr/kafkadr/internal/ledger"
	"github.com/kafkadr/kafkadr/internal/topics"
)

func TestSelection(t *testing.T) {
	const none = topics.Reason("")
	for name, tt := range map[string]struct {
		topics, exclude []string
		internal        []string // by the cluster's word
		want            map[string]topics.Reason
	}{
		"all": {want: map[string]topics.Reason{
			"orders": none, "_schemas": none, "__mine": none, "kafkadr": none,
			"__consumer_offsets": topics.Never, "__transaction_state": topics.Never, "__share_group_state": topics.Never, "__cluster_metadata": topics.Never,
			"__remote_log_metadata": topics.Own, "__kafkadr": topics.Own, "__kafkadr-probe": topics.Own, "kafkadr-canary": topics.Own,
			"__amazon_msk_canary": topics.Own, "__redpanda.cloud.sasl": topics.Own, "__CruiseControlMetrics": topics.Own,
		}},
		"a name is itself alone": {topics: []string{"test.a"}, want: map[string]topics.Reason{
			"test.a": none, "test-a": topics.NotMatched, "test.ab": topics.NotMatched, "xtest.a": topics.NotMatched,
		}},
		"a name beside an expression": {topics: []string{"test.a", "test[-]a"}, want: map[string]topics.Reason{"test.a": none, "test-a": none, "test_a": topics.NotMatched}},
		"an excluded name is itself alone": {exclude: []string{"test.a"}, want: map[string]topics.Reason{
			"test.a": topics.Excluded, "test-a": none,
		}},
		"expressions are anchored": {topics: []string{"a|b+"}, exclude: []string{"bb|c"}, want: map[string]topics.Reason{
			"a": none, "b": none, "bbb": none, "bb": topics.Excluded, "ab": topics.NotMatched, "ax": topics.NotMatched, "c": topics.NotMatched,
		}},
		"an expression doesn't name what is a cluster's own": {topics: []string{"__.*|kafkadr.*"}, want: map[string]topics.Reason{
			"__kafkadr": topics.Own, "kafkadr-canary": topics.Own, "__remote_log_metadata": topics.Own, "__consumer_offsets": topics.Never, "__mine": none, "kafkadr": none,
		}},
		"named": {topics: []string{"__kafkadr", "kafkadr-canary", "__remote_log_metadata", "__kafkadr-probe"}, want: map[string]topics.Reason{
			"__kafkadr": none, "kafkadr-canary": none, "__remote_log_metadata": none, "__kafkadr-probe": none, "__kafkadr-other": topics.NotMatched,
		}},
		"named and excluded": {topics: []string{"orders"}, exclude: []string{"ord.*"}, want: map[string]topics.Reason{"orders": topics.Excluded}},
		"internal": {topics: []string{"vendor", "v.*"}, internal: []string{"vendor", "vault"}, want: map[string]topics.Reason{
			"vendor": none, "vault": topics.Own, "vat": none,
		}},
		"nothing": {topics: []string{""}, want: map[string]topics.Reason{"orders": topics.NotMatched, "__kafkadr": topics.NotMatched}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := topics.New(tt.topics, tt.exclude)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]topics.Reason{}
			for topic := range tt.want {
				internal := slices.Contains(tt.internal, topic)
				got[topic] = s.Why(topic, internal)
				if s.Takes(topic, internal) != (got[topic] == none) {
					t.Errorf("%s: Takes and Why differ", topic)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestFaults: all faults are said at once, and Kafka's own topics by a typed error.
func TestFaults(t *testing.T) {
	_, err := topics.New([]string{"(", "__consumer_offsets", "__share_group_state"}, []string{"["})
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 4 {
		t.Fatalf("%v, want 4 faults", err)
	}
	var internal *topics.InternalTopicError
	if !errors.As(err, &internal) || internal.Topic != "__consumer_offsets" || internal.Why == "" {
		t.Error(err)
	}
	if _, err := topics.New(nil, []string{"__consumer_offsets"}); err != nil {
		t.Error("it may be excluded:", err)
	}
}

func TestNames(t *testing.T) {
	s, err := topics.New([]string{"b", "a.*", "a", "b", "."}, []string{"c"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"b", "a"}, s.Names()); diff != "" {
		t.Error(diff)
	}
}

// TestLedger: the ledger's topic is the one that is a cluster's own.
func TestLedger(t *testing.T) {
	if ledger.Topic != topics.Ledger {
		t.Errorf("%s, %s", ledger.Topic, topics.Ledger)
	}
}
