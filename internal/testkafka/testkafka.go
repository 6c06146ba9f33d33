package testkafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Cluster is a Kafka for tests: kfake or a real one. All methods may be called by several
// goroutines, those that take a [testing.TB] by the test's goroutine only.
type Cluster interface {
	// Addrs are the bootstrap addresses.
	Addrs() []string
	// Opts are the options of a client with all rights (admin credentials and TLS included).
	Opts() []kgo.Opt
	// ID is the cluster ID. No two clusters have the same.
	ID() string
	// Real says that it is a real Kafka.
	Real() bool
	// Brokers are the broker IDs, in order; stopped ones included.
	Brokers() []int32
	// Stop stops a broker cleanly (SIGTERM). On kfake its connections are cut and its partitions
	// get other leaders.
	Stop(t testing.TB, broker int32)
	// Kill ends a broker at once (SIGKILL). On kfake it is Stop.
	Kill(t testing.TB, broker int32)
	// Pause freezes a broker (SIGSTOP) until Resume is called: connections stay open and nothing
	// answers.
	Pause(t testing.TB, broker int32)
	// Resume ends a pause.
	Resume(t testing.TB, broker int32)
	// Start starts a stopped or killed broker again, on the same port and disk, and waits until it
	// serves.
	Start(t testing.TB, broker int32)
	// MoveLeader makes broker the partition's leader and waits until it is. A broker that holds no
	// replica takes the place of the last one.
	MoveLeader(t testing.TB, topic string, partition, broker int32)
}

// Secured is a [Cluster] started with Options.Secure: TLS, SASL/SCRAM-SHA-512, and an authorizer
// that denies what no ACL allows.
type Secured interface {
	Cluster
	// CreateUser creates a user, or gives it a new password. It has no rights yet: create ACLs with
	// an admin client.
	CreateUser(t testing.TB, user, password string)
	// UserOpts are the options of a client that logs in as user.
	UserOpts(user, password string) []kgo.Opt
	// ClientProperties writes a file in Kafka's own client property names (security.protocol,
	// sasl.jaas.config, ssl.truststore.location …) for user and returns its path.
	ClientProperties(t testing.TB, user, password string) string
	// Admin is the super user's name and password.
	Admin() (user, password string)
	// CAFile is the path of the PEM file of the certificate authority.
	CAFile() string
}

// Options describe a cluster.
type Options struct {
	// Brokers is 1 or 3. Default 1.
	Brokers int
	// Secure turns SASL/SCRAM, TLS and the authorizer on; the cluster is a [Secured].
	Secure bool
	// Tiered has a real Kafka keep segments of topics with remote.storage.enable in tiered storage:
	// a directory, beside what is at the brokers ([StallRemote]). kfake ignores it.
	Tiered bool
	// Configs are server.properties beyond the defaults. kfake knows a few of them (see
	// [kfake.BrokerConfigs]).
	Configs map[string]string
	// Wait bounds the start. Default 2 min.
	Wait time.Duration
	// Heap is the maximum heap of a real broker's JVM, as in -Xmx. Default 512m, with three brokers
	// 384m.
	Heap string
	// JVM are further JVM options of a real broker. Default: serial collector, first-tier compiler
	// (quick to start); a benchmark wants others.
	JVM []string
	// Network makes kfake listen on a network in memory, for testing/synctest. A real Kafka ignores
	// it.
	Network *kfake.VirtualNetwork
	// Fake are further options of kfake. A real Kafka ignores them.
	Fake []kfake.Opt
}

func (o Options) withDefaults() Options {
	if o.Brokers == 0 {
		o.Brokers = 1
	}
	if o.Wait == 0 {
		o.Wait = 2 * time.Minute
	}
	if o.Heap == "" {
		o.Heap = "512m"
		if o.Brokers > 1 {
			o.Heap = "384m"
		}
	}
	if o.JVM == nil {
		o.JVM = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"}
	}
	return o
}

// Client is a client with all rights on cl, closed when the test ends. It asks nothing by itself,
// as kgo does for its metrics some time after its start: tests count what a cluster is asked.
func Client(t testing.TB, cl Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(append(cl.Opts(), kgo.DisableClientMetrics()), opts...)...)
	if err != nil {
		t.Fatalf("testkafka: client: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}
