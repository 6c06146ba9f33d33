package main

import (
	"strings"

	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/kafkaconf"
)

// pairFlags say how to reach a source and a standby.
type pairFlags struct {
	from, to sideFlags
	both     string // a configuration file for both
}

// sideFlags are a cluster's of two.
type sideFlags struct {
	side string
	clusterFlags
}

func (f *pairFlags) register(fs *pflag.FlagSet) {
	f.from.side, f.to.side = "from", "to"
	fs.StringVar(&f.both, "kafka-config", "", "file with Kafka client properties for both clusters, for TLS and SASL; secrets also from "+
		kafkaconf.EnvUsername+", "+kafkaconf.EnvPassword+" and "+kafkaconf.EnvToken+", or of one side alone from KDR_FROM_… and KDR_TO_…")
	f.from.register(fs, "the source's")
	f.to.register(fs, "the standby's")
}

func (f *sideFlags) register(fs *pflag.FlagSet, whose string) {
	fs.StringSliceVar(&f.brokers, f.side, nil, whose+" bootstrap servers, HOST:PORT,… (or bootstrap.servers in --"+f.side+"-kafka-config)")
	fs.StringVar(&f.configFile, f.side+"-kafka-config", "", "file with "+whose+" client properties (default that of --kafka-config)")
}

func (f *pairFlags) check(a *app) {
	for _, side := range []*sideFlags{&f.from, &f.to} {
		if side.configFile == "" {
			side.configFile = f.both
		}
		side.check(a)
	}
}

// check is clusterFlags' with this side's names and secrets.
func (f *sideFlags) check(a *app) {
	own := &app{getenv: func(name string) string {
		if v := a.getenv("KDR_" + strings.ToUpper(f.side) + strings.TrimPrefix(name, "KDR")); v != "" {
			return v
		}
		return a.getenv(name)
	}}
	f.clusterFlags.check(own)
	for _, fault := range own.faults {
		fault = strings.Replace(fault, "--brokers", "--"+f.side, 1)
		a.fault("%s", strings.Replace(fault, "--kafka-config", "--"+f.side+"-kafka-config", 1))
	}
}

func (f *pairFlags) opts(a *app) (from, to []kgo.Opt) { return f.from.opts(a), f.to.opts(a) }
