package failover

import (
	"fmt"
	"regexp"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Cluster is a Kafka cluster that may be active.
type Cluster struct {
	// Required.

	// Name is how the register and reports call it: lower-case letters, digits and dashes.
	Name string
	// Opts are how a client connects to it: seed brokers, TLS, SASL. They are for every connection;
	// what is the application's alone, such as hooks and the group, is [Config].Opts.
	Opts []kgo.Opt

	// Optional.

	// Paths are further sets of options to reach the same cluster, through other networks; they are
	// tried in order where Opts don't connect.
	Paths [][]kgo.Opt
	// ID is the cluster ID that must be there, where the register doesn't say one: that holds.
	// Default: what the first connection finds, from then on.
	ID string
}

// AllPaths are Opts, where there are some, and Paths behind them.
func (c Cluster) AllPaths() [][]kgo.Opt {
	if len(c.Opts) == 0 {
		return c.Paths
	}
	return append([][]kgo.Opt{c.Opts}, c.Paths...)
}

var clusterName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

// CheckClusters says what is wrong with a list of clusters: names that are missing, odd or there
// twice, and clusters without options. Nil where nothing is.
func CheckClusters(clusters []Cluster) []error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(clusters) == 0 {
		fault("Clusters is missing: those that may be active")
	}
	seen := map[string]bool{}
	for i, c := range clusters {
		switch {
		case !clusterName.MatchString(c.Name):
			fault("Clusters[%d].Name %q isn't lower-case letters, digits and dashes", i, c.Name)
		case seen[c.Name]:
			fault("Clusters[%d].Name %q is there twice", i, c.Name)
		}
		seen[c.Name] = true
		if len(c.Opts) == 0 && len(c.Paths) == 0 {
			fault("Clusters[%d].Opts is missing: %s's client options", i, c.Name)
		}
	}
	return errs
}
