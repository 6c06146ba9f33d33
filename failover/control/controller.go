package control

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/topics"
)

// Controller switches a scope from one cluster to another: on command with [Controller.Plan], and
// by itself with [Controller.Run]. Any number of them may work on a scope; the register decides
// between them. It is safe for concurrent use.
//
// What it does while it runs:
//
//	           register read                  a probe fails             down by the rule
//	starting ───────────────► following ◄────────────────► suspect ──────────────────┐
//	                           ▲  ▲   ▲        it is well                            ▼
//	                           │  │   └──────── healthy again ◄───── down: manual, no other cluster healthy, no register
//	                           │  │ epoch opened                       │ none of these
//	                           │  └───────────── switching ◄───────────┤
//	                           │                 ▲  │  │               │
//	     another's switch      │ its epoch       │  │  └─ refused or ──► vetoed: until Next, twice as long each time
//	following ─────────────► closed ─────────────┘  │     given up
//	                           ▲   patience is over │
//	                           └────────────────────┘ neither finished nor given up
type Controller struct {
	cfg Config
	sel *topics.Selection

	// verdicts says that a cluster's state has changed.
	verdicts chan struct{}
	// busy is held while a switch runs: this controller does one at a time.
	busy chan struct{}

	mu sync.Mutex
	// topics are the partitions of the scope's topics on each cluster, as they were last seen; ids
	// the cluster IDs.
	topics map[string]map[string]int
	ids    map[string]string
	// members is the last epoch that says which clusters the scope has.
	members register.Epoch
	// seen is the last epoch, and when it was first seen to be there.
	seen   register.Epoch
	seenAt time.Time
	// status is what Run knows; watches are set where it starts.
	status  Status
	running bool
	watches map[string]*watch
}

// New validates the configuration; it does no I/O. Errors are a *[failover.ConfigError].
func New(cfg Config) (*Controller, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	sel, err := topics.New(cfg.Switch.Topics, cfg.Switch.Exclude)
	if err != nil {
		return nil, &failover.ConfigError{Job: "failover", Errs: []error{err}}
	}
	return &Controller{cfg: cfg, sel: sel, busy: make(chan struct{}, 1), verdicts: make(chan struct{}, 1), topics: map[string]map[string]int{}, ids: map[string]string{}}, nil
}

// cluster is one of the configuration, by name, with the cluster ID that has to answer: the
// register's, else the configuration's, else that which answered first.
func (c *Controller) cluster(name string) (failover.Cluster, bool) {
	i := slices.IndexFunc(c.cfg.Clusters, func(cl failover.Cluster) bool { return cl.Name == name })
	if i < 0 {
		return failover.Cluster{Name: name}, false
	}
	cl := c.cfg.Clusters[i]
	c.mu.Lock()
	defer c.mu.Unlock()
	cl.ID = cmp.Or(c.members.ID(name), cl.ID, c.ids[name])
	return cl, true
}

// registersID is a cluster's ID by the register, empty while that says none.
func (c *Controller) registersID(name string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members.ID(name)
}

// follow notes an epoch that was seen, and returns since when it is known to be there.
func (c *Controller) follow(e register.Epoch, at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Number > c.seen.Number {
		c.seen, c.seenAt = e, at
		if len(e.Clusters) > 0 || e.ActiveID != "" {
			c.members = e
		}
	}
	if e.Number == c.seen.Number {
		return c.seenAt
	}
	return at
}

// remember keeps what a look at a cluster has found, for the time when it doesn't answer.
func (c *Controller) remember(cluster string, v *clusterView) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ids[cluster] = v.id
	c.topics[cluster] = v.scope(c.sel)
}

// remembered are the topics of a cluster as they were last seen, nil where they never were.
func (c *Controller) remembered(cluster string) map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.topics[cluster])
}

// leaseOf is an epoch's: the register's word holds for all clients.
func (c *Controller) leaseOf(e register.Epoch) time.Duration { return cmp.Or(e.Lease, c.cfg.Lease) }

// clusters are what an epoch behind another says of the scope's clusters: those that it has by the
// register, else those that are configured, and the IDs that weren't known yet of those that were
// looked at.
func (c *Controller) clusters(prev register.Epoch) []register.Member {
	members := slices.Clone(prev.Clusters)
	if len(members) == 0 {
		for _, cl := range c.cfg.Clusters {
			members = append(members, register.Member{Name: cl.Name})
		}
		slices.SortFunc(members, func(x, y register.Member) int { return cmp.Compare(x.Name, y.Name) })
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known := map[string]bool{}
	for i, m := range members {
		id := cmp.Or(prev.ID(m.Name), c.ids[m.Name])
		if known[id] { // two names of one cluster: a plan's conflict, and no epoch's
			id = ""
		}
		members[i].ID = id
		known[id] = id != ""
	}
	return members
}

// patience is how long the switch that an epoch has begun is left to another controller: never less
// than it may take.
func (c *Controller) patience(closing register.Epoch) time.Duration {
	longest := c.cfg.Switch.longest(c.leaseOf(closing))
	return max(c.cfg.Patience, longest+longest/10)
}

var errOtherCluster = errors.New("another cluster answers")
