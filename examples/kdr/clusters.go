package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/spf13/pflag"
)

// clustersHelp is of commands that read a clusters file.
const clustersHelp = `
The clusters file is JSON; fields that aren't known are refused, all faults are named at once:

  {
    "scope": "shop",                      what is switched (default "default")
    "register": {"stores": ["s3://…"],    who is active: one store, or three that fail independently;
                 "prefix": "failover/"}   all who share the scope need the same
    "clusters": [                         kdr init-scope begins the scope with the first
      {"name": "ams", "brokers": ["a:9092"],
       "kafka_config": "ams.properties",  client properties; relative to the file
       "id": "…",                         the cluster ID that must be there (default: not asked)
       "paths": [{"brokers": ["…"], "kafka_config": "…"}]},   other ways to the same cluster
      {"name": "fra", "brokers": ["b:9092"]}],
    "flow": {"name": "mirror", "skip_groups": false},   the mirror between them
    "topics": ["orders.*"], "exclude": [],    the scope's (default all but internal ones)
    "lease": "10s",                       how long a client may write after it confirmed its epoch
    "budget": {"records": 0, "age": "30s", "allow_unknown": false},   what a forced switch may lose
    "fence": {"deny_writes": true, "except": ["User:mirror"],         deny-write ACLs on the cluster that is left; the lease is
              "trust": false},          waited for, unless the file's own client is refused by all its brokers, or trust says that no
                                        application has the credentials of a super user
    "probe": {                            when a cluster is down (what isn't given here has the value shown)
      "probes": ["metadata"],             metadata: a broker answers; tcp: it takes connections; round_trip: a record can be
                                          written and read; offline_partitions: enough of them have a leader
      "need": "all",                      all of them have to be healthy, or any
      "interval": "1s", "timeout": "2s",  from look to look (--interval overrides it); longer is a failure
      "failures": 3, "of": 5,             down: so many of the last looks failed, the last two among them
      "slower_than": "500ms",             so is a look that took longer (default: slowness is none)
      "successes": 3,                     up again: so many in a row
      "backoff": "10s", "max_backoff": "5m",   and for so long, where it comes and goes; twice as long each time
      "also_down": [], "ignore": [],      faults that count as failures, and those that don't; these do by default: unreachable,
                                          timeout, offline, canary, slow; these don't: auth, denied, wrong_cluster, config
      "canary": {"topic": "kafkadr-canary", "create": false, "replicas": 1},   round_trip's; never one of the scope's
      "offline": {"topics": [], "share": 0.5}}   offline_partitions' (default all topics); beyond this share it is down
  }

The file holds no secrets: they come from client properties, or from KDR_SASL_USERNAME,
KDR_SASL_PASSWORD and KDR_SASL_TOKEN, or of one cluster alone from KDR_FRA_SASL_PASSWORD and so on.
Topics have the same names on all clusters: a mirror with a prefix can't be switched.
The refill of a standby from an archive isn't part of a switch yet.`

// clustersFile is what a clusters file says.
type clustersFile struct {
	Scope    string         `json:"scope"`
	Register registerSpec   `json:"register"`
	Clusters []*clusterSpec `json:"clusters"`
	Flow     flowSpec       `json:"flow"`
	Topics   []string       `json:"topics"`
	Exclude  []string       `json:"exclude"`
	Lease    duration       `json:"lease"`
	Budget   *budgetSpec    `json:"budget"`
	Fence    *fenceSpec     `json:"fence"`
	Probe    probeSpec      `json:"probe"`
}

type registerSpec struct {
	Stores []string `json:"stores"`
	Prefix string   `json:"prefix"`

	stores []*storeFlags
}

type clusterSpec struct {
	Name string `json:"name"`
	ID   string `json:"id"`
	pathSpec
	Paths []*pathSpec `json:"paths"`
}

type pathSpec struct {
	Brokers     []string `json:"brokers"`
	KafkaConfig string   `json:"kafka_config"`

	flags clusterFlags
}

type flowSpec struct {
	Name       string `json:"name"`
	SkipGroups bool   `json:"skip_groups"`
}

type budgetSpec struct {
	Records      int64    `json:"records"`
	Age          duration `json:"age"`
	AllowUnknown bool     `json:"allow_unknown"`
}

type fenceSpec struct {
	DenyWrites bool     `json:"deny_writes"`
	Except     []string `json:"except"`
	Trust      bool     `json:"trust"`
}

// duration is a time.Duration as text, such as 10s.
type duration time.Duration

// UnmarshalJSON reads a text; one that is no duration becomes -1, which check tells with the other
// faults.
func (d *duration) UnmarshalJSON(raw []byte) error {
	var text string
	err := json.Unmarshal(raw, &text)
	parsed, wrong := units.ParseDuration(text)
	if *d = duration(parsed); err != nil || wrong != nil {
		*d = -1
	}
	return err
}

// clustersFlag is a command's --clusters.
type clustersFlag struct {
	path string
	file clustersFile
}

func (f *clustersFlag) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.path, "clusters", "", "file that says which clusters there are, where the register is, and what may be lost (JSON)")
}

// check reads the file, and finds all that is wrong with it.
func (f *clustersFlag) check(a *app) {
	if f.path == "" {
		a.fault("--clusters is required")
		return
	}
	raw, err := os.ReadFile(f.path)
	if err != nil {
		a.fault("--clusters: %v", err)
		return
	}
	own := &app{getenv: a.getenv}
	decodeStrict(own, raw, &f.file)
	f.file.check(own, filepath.Dir(f.path))
	for _, fault := range own.faults {
		a.fault("--clusters: %s: %s", f.path, fault)
	}
}

// check finds what is wrong, without any I/O but reading client properties.
func (f *clustersFile) check(a *app, dir string) {
	f.Scope = cmp.Or(f.Scope, "default")
	var invalid *register.InvalidError
	if err := register.CheckScope(f.Scope); errors.As(err, &invalid) {
		a.fault("scope: %s", invalid.Reason)
	}
	f.Register.check(a)
	f.checkClusters(a, dir)
	f.Flow.Name = cmp.Or(f.Flow.Name, "mirror")
	checkExpressions(a, "topics", f.Topics)
	checkExpressions(a, "exclude", f.Exclude)
	if f.Lease < 0 || f.Lease > 0 && f.Lease < duration(time.Second) {
		a.fault("lease: want a duration of a second or more, such as 10s")
	}
	f.Lease = cmp.Or(f.Lease, duration(10*time.Second))
	if b := f.Budget; b != nil && b.Records < 0 {
		a.fault("budget.records is negative")
	}
	if b := f.Budget; b != nil && b.Age < 0 {
		a.fault("budget.age: want a duration, such as 30s")
	}
	if s := f.Fence; s != nil && !s.DenyWrites && len(s.Except) > 0 {
		a.fault("fence.except means nothing without deny_writes")
	}
	if s := f.Fence; s != nil && !s.DenyWrites && s.Trust {
		a.fault("fence.trust means nothing without deny_writes")
	}
	f.Probe.check(a)
	if canary := f.Probe.canaryTopic(); canary != "" {
		f.Exclude = append(f.Exclude, regexp.QuoteMeta(canary)) // each cluster has its own
	}
}

func (r *registerSpec) check(a *app) {
	if n := len(r.Stores); n == 0 {
		a.fault("register.stores is required")
	} else if n%2 == 0 {
		a.fault("register.stores: want one store, or three, or another odd number, got %d", n)
	}
	for i, text := range r.Stores {
		s := &storeFlags{url: text}
		u, err := url.Parse(text)
		if err != nil {
			a.fault("register.stores[%d]: not a URL", i)
		} else if err := checkStoreURL(u); err != nil {
			a.fault("register.stores[%d]: %v", i, err)
		} else {
			s.at = u
		}
		if slices.Contains(r.Stores[:i], text) {
			a.fault("register.stores[%d] is there twice", i)
		}
		r.stores = append(r.stores, s)
	}
}

var clusterName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`)

func (f *clustersFile) checkClusters(a *app, dir string) {
	if len(f.Clusters) < 2 {
		a.fault("clusters: want two at least, got %d", len(f.Clusters))
	}
	seen := map[string]bool{}
	for i, c := range f.Clusters {
		at := fmt.Sprintf("clusters[%d]", i)
		if c == nil {
			a.fault("%s is null", at)
			continue
		}
		if !clusterName.MatchString(c.Name) {
			a.fault("%s.name: want lower-case letters, digits and dashes, got %q", at, c.Name)
		} else if seen[c.Name] {
			a.fault("%s.name: %s is there twice", at, c.Name)
		}
		seen[c.Name] = true
		c.check(a, at, c.Name, dir)
		for j, p := range c.Paths {
			if p == nil {
				a.fault("%s.paths[%d] is null", at, j)
				continue
			}
			p.check(a, fmt.Sprintf("%s.paths[%d]", at, j), c.Name, dir)
		}
	}
}

// check is clusterFlags', with this cluster's names and secrets.
func (p *pathSpec) check(a *app, at, name, dir string) {
	own := &app{getenv: func(key string) string {
		prefix := "KDR_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
		return cmp.Or(a.getenv(prefix+strings.TrimPrefix(key, "KDR")), a.getenv(key))
	}}
	p.flags.brokers, p.flags.configFile = p.Brokers, p.KafkaConfig
	if p.KafkaConfig != "" && !filepath.IsAbs(p.KafkaConfig) {
		p.flags.configFile = filepath.Join(dir, p.KafkaConfig)
	}
	p.flags.check(own)
	for _, fault := range own.faults {
		fault = strings.Replace(fault, "--brokers", at+".brokers", 1)
		a.fault("%s", strings.Replace(fault, "--kafka-config", at+".kafka_config", 1))
	}
}

// find is a cluster by its name; nil: there is none.
func (f *clustersFile) find(name string) *clusterSpec {
	for _, c := range f.Clusters {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// names are the clusters', for messages.
func (f *clustersFile) names() string {
	var names []string
	for _, c := range f.Clusters {
		names = append(names, c.Name)
	}
	return strings.Join(names, ", ")
}

// cluster is what package failover needs of one.
func (c *clusterSpec) cluster(a *app) failover.Cluster {
	out := failover.Cluster{Name: c.Name, ID: c.ID, Opts: c.flags.opts(a)}
	for _, p := range c.Paths {
		out.Paths = append(out.Paths, p.flags.opts(a))
	}
	return out
}

// checkCluster faults a flag that names no cluster of the file.
func (f *clustersFile) checkCluster(a *app, flag, name string) {
	if len(f.Clusters) > 0 && name != "" && f.find(name) == nil {
		a.fault("%s: %q isn't one of the clusters: %s", flag, name, f.names())
	}
}
