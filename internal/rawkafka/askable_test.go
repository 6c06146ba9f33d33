package rawkafka_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestAskable: whichever seed answers Connect, however long those before it stand still, the client
// knows the cluster's brokers afterwards, and each that doesn't stand still can be asked at once.
func TestAskable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3, Network: new(kfake.VirtualNetwork)})
		brokers := kafka.Brokers()
		for _, still := range brokers[:2] {
			kafka.Pause(t, still)
			defer kafka.Resume(t, still)
		}
		c, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n := len(c.Client().DiscoveredBrokers()); n != 3 {
			t.Errorf("%d brokers are known", n)
		}
		began := time.Now()
		if _, err := c.Request(t.Context(), brokers[2], kmsg.NewPtrApiVersionsRequest()); err != nil || time.Since(began) > time.Second {
			t.Errorf("a broker is asked: %v after %s", err, time.Since(began))
		}
		req := kmsg.NewPtrWriteTxnMarkersRequest()
		if _, err := rawkafka.Anyone(t.Context(), c, req); err != nil || time.Since(began) > 2*time.Second {
			t.Errorf("anyone is asked: %v after %s", err, time.Since(began))
		}
	})
}

// TestAnyoneElse: one that fails at once is no answer while others could give one.
func TestAnyoneElse(t *testing.T) {
	kafka := testkafka.Fake(t, testkafka.Options{Brokers: 3})
	c, err := rawkafka.Connect(t.Context(), kafka.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kf := testkafka.Kfake(kafka)
	for range 8 {
		refused := kafka.Brokers()[:2]
		kf.ControlKey(int16(kmsg.DescribeConfigs), func(kmsg.Request) (kmsg.Response, error, bool) {
			kf.KeepControl()
			if at := kf.CurrentNode(); at == refused[0] || at == refused[1] {
				return nil, errors.New("hang up"), true
			}
			return nil, nil, false
		})
		if _, err := rawkafka.Anyone(t.Context(), c, kmsg.NewPtrDescribeConfigsRequest()); err != nil {
			t.Fatal(err)
		}
	}
}
