package mirror

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestLacking: a standby that doesn't know a request that only helps is mirrored to without it, and
// what that costs is said.
func TestLacking(t *testing.T) {
	for _, c := range []struct {
		keys []kmsg.Key
		says EventKind // what is missing then
	}{
		{keys: []kmsg.Key{kmsg.WriteTxnMarkers}},
		{keys: []kmsg.Key{kmsg.DescribeProducers}},
		{keys: []kmsg.Key{kmsg.DescribeTransactions}, says: HolesUnguarded},
		{keys: []kmsg.Key{kmsg.WriteTxnMarkers, kmsg.DescribeProducers, kmsg.DescribeTransactions}, says: HolesUnguarded},
		{keys: []kmsg.Key{kmsg.DescribeClientQuotas}, says: "quotas_unread"},
		{keys: []kmsg.Key{kmsg.DescribeCluster}},
	} {
		src, dst := testkafka.Fake(t, testkafka.Options{}), testkafka.Fake(t, testkafka.Without(c.keys...))
		create(t, src, 1, nil, "t")
		produce(t, src, "t", 1, 5)
		transaction(t, src, "t", 3, true)
		produce(t, src, "t", 1, 5)
		cfg := quickConfig(src, dst)
		cfg.Once = true
		m := once(t, cfg)
		same(t, src, dst, []string{"t"})
		if s := m.Status(); c.says != "" && s.Events[c.says] == 0 || c.says == "" && s.Events[HolesUnguarded] > 0 {
			t.Errorf("without %v: events %v", c.keys, s.Recent)
		}
	}
}
