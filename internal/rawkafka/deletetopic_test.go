package rawkafka_test

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// TestDeleteTopic: what is deleted is the incarnation that was meant, also where the broker takes
// only names.
func TestDeleteTopic(t *testing.T) {
	for name, opts := range map[string][]kfake.Opt{"by ID": nil, "by name": {kfake.MaxVersions(func() *kversion.Versions {
		v := kversion.Stable()
		v.SetMaxKeyVersion(20, 5)
		return v
	}())}} {
		t.Run(name, func(t *testing.T) {
			c := fake(t, append(opts, kfake.NumBrokers(3), kfake.SeedTopics(1, "orders"))...)
			rc := connect(t, c, rawkafka.Config{})
			id := func() kadm.TopicID {
				topics, err := rc.Topics(t.Context(), "orders")
				if err != nil {
					t.Fatal(err)
				}
				return topics["orders"].ID
			}
			first := id()
			if err := rc.DeleteTopic(t.Context(), "orders", first); err != nil {
				t.Fatal(err)
			}
			if err := rc.DeleteTopic(t.Context(), "orders", first); !rawkafka.Unknown(err) {
				t.Error(err)
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			if _, err := kadm.NewClient(cl).CreateTopic(t.Context(), 1, 1, nil, "orders"); err != nil {
				t.Fatal(err)
			}
			if err := rc.DeleteTopic(t.Context(), "orders", first); !rawkafka.Unknown(err) || id() == first {
				t.Error("another incarnation is deleted:", err)
			}
		})
	}
}
