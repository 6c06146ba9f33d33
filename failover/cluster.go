package failover

import "github.com/twmb/franz-go/pkg/kgo"

// Cluster is a Kafka cluster that may be active.
type Cluster struct {
	// Required.

	// Name is how the register and reports call it: lower-case letters, digits and dashes.
	Name string
	// Opts are how a client connects to it: seed brokers, TLS, SASL.
	Opts []kgo.Opt

	// Optional.

	// Paths are further sets of options to reach the same cluster, through other networks; they are tried in order where Opts don't connect.
	Paths [][]kgo.Opt
	// ID is the cluster ID that must be there. Default: what the first connection finds, from then on.
	ID string
}
