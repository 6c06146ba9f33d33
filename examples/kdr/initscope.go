package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/kafkadr/kafkadr/failover/register"
)

// initScopeFlags are the init-scope command's.
type initScopeFlags struct {
	clusters clustersFlag
	active   string
	change   bool
}

func newInitScope(a *app) *cobra.Command {
	var f initScopeFlags
	cmd := &cobra.Command{
		Use:   "init-scope --clusters FILE",
		Short: "Begin a scope: its first epoch says who is active, for how long, and which clusters there are",
		Long: `Write a scope's first epoch to the register, once: which cluster is active, the lease, and
the names and IDs of the file's clusters. All other commands, controllers and clients
refuse a scope that nobody has begun: so a mistyped scope, prefix or store can't have
another cluster be active beside the one that is.

An ID that isn't known yet, because a cluster doesn't answer, is added by the next switch.
From then on the register's values hold, whatever a file says. Where the scope has been
begun nothing is written, and what differs from the file is said. With --change the
file's lease and clusters become the scope's, by a closing and an opening epoch back to
the cluster that is active; clients stop for a moment. Where the lease was changed just
before, it waits for the longer one first.
` + clustersHelp,
		Example: `  kdr init-scope --clusters clusters.json
  kdr init-scope --clusters clusters.json --change`,
	}
	fs := cmd.Flags()
	f.clusters.register(fs)
	fs.StringVar(&f.active, "active", "", "the cluster that is active (default the file's first)")
	fs.BoolVar(&f.change, "change", false, "give a scope that was begun the file's lease, clusters and IDs")
	cmd.RunE = a.run(0, func([]string) {
		f.clusters.check(a)
		f.clusters.file.checkCluster(a, "--active", f.active)
		if f.change && f.active != "" {
			a.fault("--active is for a scope that begins: kdr failover changes who is active")
		}
	}, func(ctx context.Context) error { return a.initScope(ctx, &f) })
	return cmd
}

// scopeBegun is the document of init-scope.
type scopeBegun struct {
	Scope       string            `json:"scope"`
	Epoch       int64             `json:"epoch"`
	Active      string            `json:"active"`
	LeaseMillis int64             `json:"lease_ms"`
	Clusters    []register.Member `json:"clusters"`
	// Begun says that the scope was begun by this command, Changed that it was given the file's
	// values.
	Begun   bool `json:"begun"`
	Changed bool `json:"changed"`
	// Differs is where the file isn't what the register says, which holds.
	Differs  []string `json:"differs"`
	Warnings []string `json:"warnings"`
}

func (a *app) initScope(ctx context.Context, f *initScopeFlags) error {
	file := &f.clusters.file
	s, done, err := file.openAny(ctx, a, writing)
	if err != nil {
		return err
	}
	defer done()
	values, warnings, err := s.values(ctx)
	if err != nil {
		return err
	}
	was, err := register.Latest(ctx, s.register, file.Scope)
	none := errors.Is(err, register.ErrNoEpoch)
	if err != nil && !none {
		return err
	}
	e := was
	switch {
	case none && f.change:
		return &refusedError{text: fmt.Sprintf("scope %s has no epoch: there is nothing to change", file.Scope)}
	case none:
		values.Active = cmp.Or(f.active, file.Clusters[0].Name)
		values.ActiveID, values.Reason = values.ID(values.Active), "the scope begins"
		if e, err = register.Begin(ctx, s.register, file.Scope, values); err != nil {
			return err
		}
	case f.change && len(differing(values, was)) > 0:
		values.Reason = "the scope's values are changed"
		if e, err = register.Change(ctx, s.register, was, values); err != nil {
			return err
		}
	}
	d := scopeBegun{
		Scope: file.Scope, Epoch: e.Number, Active: e.Active, LeaseMillis: e.Lease.Milliseconds(), Clusters: append([]register.Member{}, e.Clusters...),
		Begun: none && e.Number == 1 && e.By == values.By, Changed: e.Number != was.Number && !none, Differs: append([]string{}, differing(values, e)...), Warnings: append([]string{}, warnings...),
	}
	if a.json {
		return a.document(d)
	}
	return a.printf("%s", d.text())
}

// values are the file's, as an epoch has them. A cluster that answers with another ID than the
// file's is refused.
func (s *switching) values(ctx context.Context) (register.Epoch, []string, error) {
	host, _ := os.Hostname()
	values := register.Epoch{Lease: time.Duration(s.file.Lease), By: fmt.Sprintf("kdr init-scope on %s, process %d", host, os.Getpid())}
	within, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	found := make([]clusterStatus, len(s.clusters))
	var wg sync.WaitGroup
	for i, c := range s.clusters {
		wg.Go(func() { found[i] = lookAt(within, c, "") })
	}
	wg.Wait()
	var warnings []string
	ids := map[string]string{}
	for i, c := range s.clusters {
		id := cmp.Or(found[i].ClusterID, c.ID)
		switch {
		case id != "" && ids[id] != "":
			return values, nil, &refusedError{text: fmt.Sprintf("%s and %s are the same cluster, %s", ids[id], c.Name, id)}
		case !found[i].Reachable && strings.HasPrefix(found[i].Error, anotherAnswers):
			return values, nil, &refusedError{text: c.Name + ": " + found[i].Error}
		case !found[i].Reachable:
			warnings = append(warnings, fmt.Sprintf("%s doesn't answer: %s", c.Name, found[i].Error))
		}
		if id != "" {
			ids[id] = c.Name
		}
		values.Clusters = append(values.Clusters, register.Member{Name: c.Name, ID: id})
	}
	slices.SortFunc(values.Clusters, func(x, y register.Member) int { return cmp.Compare(x.Name, y.Name) })
	return values, warnings, nil
}

// differing says where a file's values aren't the scope's. An ID that one of them doesn't know
// differs only where the other one does.
func differing(values, e register.Epoch) []string {
	var all []string
	if values.Lease != e.Lease {
		all = append(all, fmt.Sprintf("the lease is %v, and %v in the file", e.Lease, values.Lease))
	}
	for _, m := range values.Clusters {
		switch id := e.ID(m.Name); {
		case len(e.Clusters) == 0 || !e.Has(m.Name):
			all = append(all, fmt.Sprintf("cluster %s isn't in the register", m.Name))
		case m.ID != "" && id != m.ID:
			all = append(all, fmt.Sprintf("the ID of %s is %s, and answering is %s", m.Name, cmp.Or(id, "not known"), m.ID))
		}
	}
	for _, m := range e.Clusters {
		if !values.Has(m.Name) {
			all = append(all, fmt.Sprintf("cluster %s isn't in the file", m.Name))
		}
	}
	return all
}

func (d *scopeBegun) text() string {
	var b strings.Builder
	what := "was begun already"
	switch {
	case d.Begun:
		what = "is begun"
	case d.Changed:
		what = "is changed"
	}
	fmt.Fprintf(&b, "scope %s %s: %s is active at epoch %d, the lease is %v\n", d.Scope, what, orNone(d.Active), d.Epoch, time.Duration(d.LeaseMillis)*time.Millisecond)
	for _, m := range d.Clusters {
		fmt.Fprintf(&b, "cluster %s: ID %s\n", m.Name, cmp.Or(m.ID, "not known yet"))
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	for _, w := range d.Differs {
		fmt.Fprintf(&b, "differs: %s; the register's holds (--change)\n", w)
	}
	return b.String()
}
