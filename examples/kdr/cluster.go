package main

import (
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/kafkaconf"
)

// clusterFlags say how to reach a Kafka cluster.
type clusterFlags struct {
	brokers    []string
	configFile string
	config     *kafkaconf.Config
}

// register adds the flags; alias is another name of --brokers, as the mirror
// of two clusters has it: from or to.
func (f *clusterFlags) register(fs *pflag.FlagSet, alias string) {
	fs.StringSliceVar(&f.brokers, "brokers", nil, "bootstrap servers, HOST:PORT,… (also --"+alias+"; or bootstrap.servers in --kafka-config)")
	fs.StringVar(&f.configFile, "kafka-config", "", "file with Kafka client properties, for TLS and SASL; secrets also from "+
		kafkaconf.EnvUsername+", "+kafkaconf.EnvPassword+" and "+kafkaconf.EnvToken)
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if name == alias {
			name = "brokers"
		}
		return pflag.NormalizedName(name)
	})
}

func (f *clusterFlags) check(a *app) {
	config, faults := kafkaconf.Load(f.configFile, a.getenv)
	for _, fault := range faults {
		a.fault("--kafka-config: %s", fault)
	}
	if f.config = config; config == nil {
		return
	}
	if len(f.brokers) == 0 {
		f.brokers = config.Brokers
	}
	if len(f.brokers) == 0 {
		a.fault("--brokers is required")
	}
	for _, b := range f.brokers {
		host, port, err := net.SplitHostPort(strings.TrimSpace(b))
		if n, e := strconv.ParseUint(port, 10, 16); err != nil || host == "" || e != nil || n == 0 {
			a.fault("--brokers: want HOST:PORT, got %q", b)
		}
	}
}

// opts are the options of a client.
func (f *clusterFlags) opts(a *app) []kgo.Opt {
	if len(f.config.Ignored) > 0 {
		a.log.Warn("properties that mean nothing here are ignored", "file", f.configFile, "properties", strings.Join(f.config.Ignored, ","))
	}
	brokers := slices.Clone(f.brokers)
	for i := range brokers {
		brokers[i] = strings.TrimSpace(brokers[i])
	}
	opts := append(slices.Clone(f.config.Opts), kgo.SeedBrokers(brokers...))
	if f.config.Rack != "" {
		opts = append(opts, kgo.Rack(f.config.Rack))
	}
	return opts
}
