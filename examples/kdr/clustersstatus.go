package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/mirror"
)

// scopeStatus is where a scope stands.
type scopeStatus struct {
	Scope string `json:"scope"`
	// Epoch is the newest one's number. Active is empty while a switch is under way, from From to
	// Target.
	Epoch  int64     `json:"epoch"`
	Active string    `json:"active"`
	From   string    `json:"from,omitempty"`
	Target string    `json:"target,omitempty"`
	Since  time.Time `json:"since,omitzero"`

	Clusters []clusterStatus `json:"clusters"`
	Mirrors  []mirrorStatus  `json:"mirrors"`
	History  []epochStatus   `json:"history"`
}

type clusterStatus struct {
	Name      string `json:"name"`
	Active    bool   `json:"active"`
	Reachable bool   `json:"reachable"`
	ClusterID string `json:"cluster_id,omitempty"`
	Brokers   int    `json:"brokers"`
	Error     string `json:"error,omitempty"`
	// Probe is one look by the file's probes, as a controller takes it.
	Probe *probeStatus `json:"probe"`
}

type mirrorStatus struct {
	From string `json:"from"`
	To   string `json:"to"`
	// LagRecords and RPO are what To lacks now. Where From isn't reachable, RPO is the last that is
	// known, as of its time, and zero where nothing is; where there is another Error, neither means
	// anything.
	LagRecords int64         `json:"lag_records"`
	RPO        control.Lag   `json:"rpo"`
	Stopped    int           `json:"stopped"`
	LeftOut    int           `json:"left_out"`
	Status     mirror.Status `json:"-"`
	Error      string        `json:"error,omitempty"`
}

// epochStatus is an epoch without its forks.
type epochStatus struct {
	Number  int64     `json:"number"`
	Active  string    `json:"active,omitempty"`
	From    string    `json:"from,omitempty"`
	Target  string    `json:"target,omitempty"`
	Switch  string    `json:"switch,omitempty"`
	Planned bool      `json:"planned,omitempty"`
	By      string    `json:"by,omitempty"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
	Forks   int       `json:"forks,omitempty"`
}

// anotherAnswers begins the error of a cluster whose ID isn't the one that is meant.
const anotherAnswers = "another cluster answers"

const (
	lookFor    = 5 * time.Second
	observeFor = 30 * time.Second
)

// clustersStatus asks the register, the clusters and the mirrors.
func (a *app) clustersStatus(ctx context.Context, f *clustersFile) error {
	s, done, err := f.open(ctx, a, reading)
	if err != nil {
		return err
	}
	defer done()
	st := scopeStatus{Scope: f.Scope, Clusters: []clusterStatus{}, Mirrors: []mirrorStatus{}, History: []epochStatus{}}
	if err := s.history(ctx, &st); err != nil {
		return err
	}
	source := s.look(ctx, &st)
	if st.Active == "" {
		source = st.From
	}
	s.observe(ctx, &st, source)
	if a.json {
		err = a.document(st)
	} else {
		err = a.printScope(&st)
	}
	for _, m := range st.Mirrors {
		if m.Error != "" {
			err = errors.Join(err, fmt.Errorf("mirror from %s to %s: %s", m.From, m.To, m.Error))
		}
	}
	return err
}

func (s *switching) history(ctx context.Context, st *scopeStatus) error {
	for e, err := range register.History(ctx, s.register, s.file.Scope) {
		if err != nil {
			return err
		}
		st.Epoch, st.Active, st.From, st.Target, st.Since = e.Number, e.Active, e.From, e.Target, e.At
		st.History = append(st.History, epochStatus{e.Number, e.Active, e.From, e.Target, e.Switch, e.Planned, e.By, e.Reason, e.At, len(e.Forks)})
	}
	return nil
}

// look asks all clusters at once who they are, and probes them. It returns the active one.
func (s *switching) look(ctx context.Context, st *scopeStatus) string {
	within, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	st.Clusters = make([]clusterStatus, len(s.clusters))
	probed := make([]*probeStatus, len(s.clusters))
	var wg sync.WaitGroup
	for i, c := range s.clusters {
		wg.Go(func() { st.Clusters[i] = lookAt(within, c, st.Active) })
		wg.Go(func() { probed[i] = s.file.Probe.once(ctx, s.clusters, c) })
	}
	wg.Wait()
	for i, p := range probed {
		st.Clusters[i].Probe = p
	}
	return st.Active
}

func lookAt(ctx context.Context, c failover.Cluster, active string) clusterStatus {
	out := clusterStatus{Name: c.Name, Active: c.Name == active}
	paths := append([][]kgo.Opt{c.Opts}, c.Paths...)
	for i, opts := range paths {
		within, cancel := share(ctx, len(paths)-i)
		m, err := brokersBy(within, opts)
		cancel()
		switch {
		case err != nil:
			out.Error = oneLine(err.Error())
			continue
		case c.ID != "" && m.Cluster != c.ID:
			out.Error = fmt.Sprintf(anotherAnswers+": its ID is %s, not %s", m.Cluster, c.ID)
			continue
		}
		out.Reachable, out.ClusterID, out.Brokers, out.Error = true, m.Cluster, len(m.Brokers), ""
		break
	}
	return out
}

// brokersBy asks by one path. The client ends with the context: to close one that waits for a
// broker takes as long as it waits.
func brokersBy(ctx context.Context, opts []kgo.Opt) (kadm.Metadata, error) {
	cl, err := kgo.NewClient(append(opts[:len(opts):len(opts)], kgo.WithContext(ctx))...)
	if err != nil {
		return kadm.Metadata{}, err
	}
	defer cl.Close()
	return kadm.NewClient(cl).BrokerMetadata(ctx)
}

// share is an equal part of the time that is left, for one of so many.
func share(ctx context.Context, among int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Until(end)/time.Duration(among))
}

// observe asks for the mirrors from the active cluster to the others.
func (s *switching) observe(ctx context.Context, st *scopeStatus, from string) {
	for _, c := range st.Clusters {
		if c.Name == from {
			continue
		}
		m := mirrorStatus{From: from, To: c.Name}
		if away := st.away(from, c.Name); away != "" {
			m.Error = away + " isn't reachable"
			if away == from && st.away(c.Name) == "" {
				m.RPO = s.lastLag(ctx, from, c.Name)
			}
			st.Mirrors = append(st.Mirrors, m)
			continue
		}
		within, cancel := context.WithTimeout(ctx, observeFor)
		at := time.Now()
		now, err := mirror.Observe(within, s.mirror.between(from, c.Name))
		cancel()
		if err != nil {
			m.Error = oneLine(err.Error())
		} else {
			m.Status, m.LagRecords, m.RPO, m.Stopped, m.LeftOut = *now, now.LagRecords, lagOf(now, at), now.Stopped, len(now.LeftOut)
		}
		st.Mirrors = append(st.Mirrors, m)
	}
}

// lastLag is what is known of what a standby lacks when its source is away.
func (s *switching) lastLag(ctx context.Context, from, to string) control.Lag {
	within, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	lag, err := s.mirror.lastLag(within, from, to)
	if err != nil {
		return control.Lag{}
	}
	return lag
}

// away is the first of some clusters that can't be reached.
func (st *scopeStatus) away(names ...string) string {
	for _, c := range st.Clusters {
		if !c.Reachable && slices.Contains(names, c.Name) {
			return c.Name
		}
	}
	return ""
}

func (a *app) printScope(st *scopeStatus) error {
	var err error
	if st.Active == "" {
		err = a.printf("scope %s: a switch from %s to %s is under way since epoch %d, %s: no client writes\n", st.Scope, st.From, st.Target, st.Epoch, st.Since.Format(time.RFC3339))
	} else {
		err = a.printf("scope %s: %s is active since epoch %d, %s\n", st.Scope, st.Active, st.Epoch, st.Since.Format(time.RFC3339))
	}
	for _, c := range st.Clusters {
		what := fmt.Sprintf("reachable, %d brokers, ID %s", c.Brokers, c.ClusterID)
		if !c.Reachable {
			what = "not reachable: " + c.Error
		}
		err = errors.Join(err, a.printf("cluster %s: %s; probe: %s\n", c.Name, what, c.Probe))
	}
	for _, m := range st.Mirrors {
		if m.Error != "" { // the last line says it
			if lag := m.RPO; !lag.At.IsZero() {
				err = errors.Join(err, a.printf("\n%s to %s: as of %s, %d records weren't on the standby yet, the oldest %s old, and %d partitions weren't known\n",
					m.From, m.To, lag.At.UTC().Format(time.RFC3339), lag.Records, lag.Age.Round(time.Millisecond), lag.Unknown))
			}
			continue
		}
		err = errors.Join(err, a.printf("\n"), a.printStatus(&m.Status))
		for _, topic := range sortedKeys(m.Status.LeftOut) {
			err = errors.Join(err, a.printf("left out: %s: %s\n", topic, m.Status.LeftOut[topic]))
		}
	}
	if len(st.History) == 0 {
		return err
	}
	rows := [][]string{{"EPOCH", "AT", "ACTIVE", "SWITCH", "BY", "REASON"}}
	for _, e := range st.History {
		rows = append(rows, e.row())
	}
	return errors.Join(err, a.printf("\n"), a.table(rows))
}

func (e *epochStatus) row() []string {
	active, how := e.Active, ""
	if active == "" {
		active = "(closed)"
	}
	if e.From != "" {
		how = fmt.Sprintf("%s to %s", e.From, e.Target)
		switch {
		case e.Active == e.From:
			how += ", given up"
		case e.Planned:
			how += ", planned"
		default:
			how += ", forced"
		}
	}
	return []string{fmt.Sprint(e.Number), e.At.UTC().Format(time.RFC3339), active, how, e.By, oneLine(e.Reason)}
}
