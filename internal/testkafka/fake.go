package testkafka

import (
	"crypto/rand"
	"encoding/base64"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fake is a kfake cluster. A broker that is stopped leaves the cluster where others remain, and
// only drops off the network where it is the last.
type fake struct {
	*kfake.Cluster
	id      string
	brokers []int32
	net     *fakeNet
	network *kfake.VirtualNetwork
	sec     *security

	mu   sync.Mutex
	down map[int32]bool
	gone map[int32]bool // down, and removed from the cluster
}

// Fake starts kfake, closed when the test ends. With [Options.Network] it may live in a synctest
// bubble (without Secure: kgo dials either through TLS or through a network in memory). The
// in-process cluster itself is reached with [Kfake].
func Fake(t testing.TB, o Options) Cluster {
	t.Helper()
	o = o.withDefaults()
	f := &fake{id: newID(), network: o.Network, net: newFakeNet(o.Network), down: map[int32]bool{}, gone: map[int32]bool{}}
	opts := []kfake.Opt{kfake.NumBrokers(o.Brokers), kfake.ClusterID(f.id), kfake.DefaultNumPartitions(1), kfake.ListenFn(f.net.listen)}
	if o.Network != nil {
		opts = append(opts, kfake.Ports(virtualPorts(o.Brokers)...))
	}
	if o.Secure {
		f.sec = newSecurity(t, t.TempDir())
		opts = append(opts, kfake.EnableSASL(), kfake.EnableACLs(), kfake.TLS(f.sec.serverTLS()),
			kfake.Superuser("SCRAM-SHA-512", adminUser, f.sec.password))
	}
	if o.Configs != nil {
		opts = append(opts, kfake.BrokerConfigs(o.Configs))
	}
	c, err := kfake.NewCluster(append(opts, o.Fake...)...)
	if err != nil {
		t.Fatalf("testkafka: kfake: %v", err)
	}
	f.Cluster = c
	c.ControlKey(int16(kmsg.DescribeUserSCRAMCredentials), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if scram := req.(*kmsg.DescribeUserSCRAMCredentialsRequest); len(scram.Users) == 0 {
			scram.Users = nil // as Kafka: all of them
		}
		return nil, nil, false
	})
	t.Cleanup(f.close)
	f.describeAllUsers()
	for i := range c.ListenAddrs() {
		f.brokers = append(f.brokers, int32(i))
	}
	if f.sec != nil {
		return &securedFake{f}
	}
	return f
}

// describeAllUsers has an empty list of SCRAM users stand for all of them, as on a broker; kfake
// takes only null so.
func (f *fake) describeAllUsers() {
	f.ControlKey(int16(kmsg.DescribeUserSCRAMCredentials), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		f.KeepControl()
		if req := kreq.(*kmsg.DescribeUserSCRAMCredentialsRequest); len(req.Users) == 0 {
			req.Users = nil
		}
		return nil, nil, false
	})
}

// Kfake is the in-process cluster behind cl, or nil where cl is real.
func Kfake(cl Cluster) *kfake.Cluster {
	switch c := cl.(type) {
	case *fake:
		return c.Cluster
	case *securedFake:
		return c.Cluster
	}
	return nil
}

// ForgetDeletes has an in-process cluster answer a DeleteRecords as if it had obeyed, where forgets
// says so: as brokers do that are killed before they write down where a log starts.
func ForgetDeletes(cl Cluster, forgets func(*kmsg.DeleteRecordsRequest) bool) {
	k := Kfake(cl)
	k.ControlKey(int16(kmsg.DeleteRecords), func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		req := kreq.(*kmsg.DeleteRecordsRequest)
		if !forgets(req) {
			return nil, nil, false
		}
		resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
		for _, t := range req.Topics {
			rt := kmsg.NewDeleteRecordsResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewDeleteRecordsResponseTopicPartition()
				rp.Partition, rp.LowWatermark = p.Partition, p.Offset
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}

func (f *fake) close() {
	f.net.openAll()
	f.Close()
}

func (f *fake) Addrs() []string  { return f.net.addrs() }
func (f *fake) ID() string       { return f.id }
func (f *fake) Real() bool       { return false }
func (f *fake) Brokers() []int32 { return f.brokers }

func (f *fake) Opts() []kgo.Opt {
	opts := f.seeds()
	if f.sec != nil {
		opts = append(opts, f.sec.opts(adminUser, f.sec.password)...)
	}
	return opts
}

// seeds are the options that find the cluster, without a login.
func (f *fake) seeds() []kgo.Opt {
	opts := []kgo.Opt{kgo.SeedBrokers(f.Addrs()...)}
	if f.network != nil {
		opts = append(opts, kgo.Dialer(f.network.DialContext))
	}
	return opts
}

func (f *fake) Stop(t testing.TB, broker int32) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down[broker] {
		return
	}
	if len(f.down) < len(f.brokers)-1 {
		if err := f.RemoveNode(broker); err != nil {
			t.Fatalf("testkafka: stop broker %d: %v", broker, err)
		}
		f.gone[broker] = true
	}
	f.down[broker] = true
	f.net.gate(broker).cut()
}

func (f *fake) Kill(t testing.TB, broker int32) { t.Helper(); f.Stop(t, broker) }

func (f *fake) Pause(_ testing.TB, broker int32)  { f.net.gate(broker).pause() }
func (f *fake) Resume(_ testing.TB, broker int32) { f.net.gate(broker).resume() }

func (f *fake) Start(t testing.TB, broker int32) {
	t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.down[broker] {
		return
	}
	g := f.net.gate(broker)
	g.open()
	if f.gone[broker] {
		if _, _, err := f.AddNode(broker, g.port); err != nil {
			t.Fatalf("testkafka: start broker %d: %v", broker, err)
		}
	}
	delete(f.down, broker)
	delete(f.gone, broker)
}

func (f *fake) MoveLeader(t testing.TB, topic string, partition, broker int32) {
	t.Helper()
	if err := f.MoveTopicPartition(topic, partition, broker); err != nil {
		t.Fatalf("testkafka: move %s/%d to broker %d: %v", topic, partition, broker, err)
	}
}

func virtualPorts(n int) []int {
	var ports []int
	for i := range n {
		ports = append(ports, 9092+i)
	}
	return ports
}

// newID is a random ID in Kafka's form: 16 bytes, base64 for URLs, no padding. A leading '-' would
// look like a flag to Kafka's tools.
func newID() string {
	for {
		var b [16]byte
		_, _ = rand.Read(b[:])
		if id := base64.RawURLEncoding.EncodeToString(b[:]); id[0] != '-' {
			return id
		}
	}
}

type listenFunc func(network, address string) (net.Listener, error)
