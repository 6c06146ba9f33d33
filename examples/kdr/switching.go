package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/mirror"
)

// switching is what commands that work on a clusters file share: the clusters, the register, and
// the mirror between them.
type switching struct {
	a    *app
	file *clustersFile

	clusters []failover.Cluster
	register register.Register
	mirror   *replication
}

// open opens the register of a scope that has been begun. Call the returned func when done.
func (f *clustersFile) open(ctx context.Context, a *app, how use) (*switching, func(), error) {
	s, done, err := f.openAny(ctx, a, how)
	if err != nil {
		return nil, nil, err
	}
	within, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	_, err = register.Active(within, s.register, f.Scope)
	var none *register.NoScopeError
	if errors.As(err, &none) { // other errors are the command's: some go on without the register
		done()
		return nil, nil, &refusedError{text: fmt.Sprintf("%v; to begin it: kdr init-scope --clusters FILE", none)}
	}
	return s, done, nil
}

// openAny is open, of a scope that may not have been begun.
func (f *clustersFile) openAny(ctx context.Context, a *app, how use) (*switching, func(), error) {
	reg, done, err := f.Register.open(ctx, a, how)
	if err != nil {
		return nil, nil, err
	}
	s := &switching{a: a, file: f, register: reg}
	for _, c := range f.Clusters {
		s.clusters = append(s.clusters, c.cluster(a))
	}
	s.mirror = &replication{
		flow: f.Flow, lease: time.Duration(f.Lease), clusters: s.clusters, config: mirror.Config{Logger: a.log, ClientID: f.clientID()},
		takes: f.takes(), last: map[[2]string]control.Lag{}, stopped: map[[2]string]bool{}, ids: map[string]string{},
	}
	for _, c := range f.Clusters {
		s.mirror.ids[c.Name] = c.ID
	}
	return s, done, nil
}

func (f *clustersFile) clientID() string {
	for _, c := range f.Clusters {
		if id := c.flags.config.ClientID; id != "" {
			return id
		}
	}
	return ""
}

// takes says whether a topic is the scope's.
func (f *clustersFile) takes() func(string) bool {
	takes := control.SwitchConfig{Topics: f.Topics, Exclude: f.Exclude}.Takes()
	return func(topic string) bool { return takes(topic, false) }
}

// active is who is active by an epoch, or was before the switch that is under way; the first
// cluster where there is no epoch yet.
func (f *clustersFile) active(e register.Epoch) string {
	return cmp.Or(e.Active, e.From, f.Clusters[0].Name)
}

// pair are the active cluster and the one that a controller would go to.
func (f *clustersFile) pair(st control.Status) (from, to string) {
	from = f.active(st.Epoch)
	i := slices.IndexFunc(f.Clusters, func(c *clusterSpec) bool { return c.Name == from })
	return from, cmp.Or(st.Standby, f.Clusters[(i+1)%len(f.Clusters)].Name)
}

// config is a controller's.
func (s *switching) config() control.Config {
	f := s.file
	cfg := control.Config{
		Clusters: s.clusters, Register: s.register, Scope: f.Scope, Lease: time.Duration(f.Lease), Logger: s.a.log,
		Probe: f.Probe.probe(s.clusters, true), Health: f.Probe.rule(),
		Switch: control.SwitchConfig{
			Topics: f.Topics, Exclude: f.Exclude, Replication: s.mirror,
			Deadlines: control.Deadlines{Stop: 2*quiet(time.Duration(f.Lease)) + time.Duration(f.Lease) + retireWithin},
		},
		Hooks: control.Hooks{
			OnPhase: func(p control.Phase) {
				s.a.log.Info("step", "step", string(p.Step), "outcome", string(p.Outcome), "took", time.Duration(p.Millis*float64(time.Millisecond)), "detail", p.Detail)
			},
			OnRetry: func(op string, err error) { s.a.log.Debug("trying again", "op", op, "err", err) },
		},
	}
	if b := f.Budget; b != nil {
		cfg.Switch.Budget = &control.Budget{Records: b.Records, Age: time.Duration(b.Age), AllowUnknown: b.AllowUnknown}
	}
	if !f.Flow.SkipGroups {
		cfg.Switch.Offsets = control.ExactOffsets{}
	}
	if f.Fence != nil && f.Fence.DenyWrites {
		cfg.Switch.Fence = control.DenyWrites{Except: f.Fence.Except, Trust: f.Fence.Trust}
	}
	return cfg
}
