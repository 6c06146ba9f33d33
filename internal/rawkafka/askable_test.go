package exactcopy

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestAskable: a client that has looked for no brokers yet asks its seeds, and a real answer comes of it.
func TestAskable(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{})
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka.Addrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if n := len(cl.DiscoveredBrokers()); n != 0 {
		t.Fatalf("%d brokers are known", n)
	}
	brokers := askable(cl)
	if len(brokers) == 0 {
		t.Fatal("nobody is asked")
	}
	if _, err := brokers[0].Request(t.Context(), kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Request(t.Context(), kmsg.NewPtrMetadataRequest()); err != nil {
		t.Fatal(err)
	}
	if known := cl.DiscoveredBrokers(); len(known) == 0 || len(askable(cl)) != len(known) {
		t.Errorf("%d are asked of the %d that are known", len(askable(cl)), len(known))
	}
}
