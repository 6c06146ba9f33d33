package testkafka

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Cluster is a Kafka for tests: kfake or a real one.
type Cluster interface {
	// Addrs are the bootstrap addresses.
	Addrs() []string
	// Opts are the options of a client with all rights (admin credentials and TLS included).
	Opts() []kgo.Opt
	// Real says that it is a real Kafka.
	Real() bool
	// Brokers are the broker IDs.
	Brokers() []int32
	// Stop stops a broker cleanly (SIGTERM), Kill at once (SIGKILL), Pause with SIGSTOP until the returned func or Resume is called; Start starts it again
	// on the same port and disk and waits until it serves. On kfake: what it can do; else the test is skipped.
	Stop(t testing.TB, broker int32)
	Kill(t testing.TB, broker int32)
	Pause(t testing.TB, broker int32)
	Resume(t testing.TB, broker int32)
	Start(t testing.TB, broker int32)
	// MoveLeader makes broker the partition's leader.
	MoveLeader(t testing.TB, topic string, partition, broker int32)
}

// Options describe a cluster.
type Options struct {
	// Brokers is 1 or 3. Default 1.
	Brokers int
	// Secure turns SASL/SCRAM, TLS and the authorizer on.
	Secure bool
	// Configs are server.properties beyond the defaults.
	Configs map[string]string
	// Wait bounds the start. Default 2 min.
	Wait time.Duration
}

// Fake starts kfake.
func Fake(t testing.TB, o Options) Cluster { panic("TODO") }

// Real starts a real Kafka of the given shape; the test is skipped, saying what to install, where Java, Maven or the jars
// are missing, and fails instead where KAFKADR_REQUIRE holds "kafka". All is gone when the test ends.
func Real(t testing.TB, o Options) Cluster { panic("TODO") }
