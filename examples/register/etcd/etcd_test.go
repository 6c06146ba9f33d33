package etcd_test

import (
	"net/url"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/kafkadr/kafkadr/examples/register/etcd"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/registertest"
)

// TestConformance runs against a real server in this process.
func TestConformance(t *testing.T) {
	endpoint := server(t)
	registertest.Run(t, func(t testing.TB) register.Register {
		client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: time.Minute, Context: t.Context()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		return etcd.New(client, t.Name()+"/")
	})
}

func server(t *testing.T) (endpoint string) {
	cfg := embed.NewConfig()
	cfg.Dir = t.TempDir()
	cfg.LogLevel = "error"
	anyPort := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = anyPort, anyPort
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = anyPort, anyPort
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	select {
	case <-e.Server.ReadyNotify():
	case err := <-e.Err():
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("the server isn't ready after a minute")
	}
	return e.Clients[0].Addr().String()
}
