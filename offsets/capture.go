package offsets

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// CaptureConfig says which groups are captured, and how.
type CaptureConfig struct {
	// Only are regular expressions, anchored, of groups to take. Default: all.
	Only []string
	// Exclude are regular expressions, anchored, of groups to leave out.
	Exclude []string
	// Since is the capture before: a group that it has and the cluster lacks is carried on as
	// absent since now, with its offsets as they were last seen. Default: nothing is carried.
	Since *Groups
	// KeepAbsent is how long an absent group is carried. Default 0: for ever.
	KeepAbsent time.Duration
	// SkipPending saves the second request that finds transactional commits under way.
	SkipPending bool
	// RetryFor is how long moved coordinators and lost connections are followed without any success
	// before their error is noted. Default 1 min.
	RetryFor time.Duration
	// OnRetry is called before something is asked again, from several goroutines.
	OnRetry func(op string, err error)
}

// Capture reads what the cluster's groups have committed: classic, KIP-848
// and streams groups, active or empty. It changes nothing and waits for
// nobody: an active group's offsets are those of the moment it is asked.
//
// Pending transactional commits aren't taken, and the partitions are named in
// [Group].Pending. They are seen where something was committed before; a
// group's very first commit of a partition, while it is pending, isn't there
// for a client that asks. Share groups (KIP-932) have no committed offsets and
// are named in NotCarried.
//
// What can't be read is noted where it belongs, in [Group].Error and [Groups].Unread. Errors: a
// *[ConfigError]; the context's; the cluster's metadata that couldn't be read.
func Capture(ctx context.Context, cl *kgo.Client, cfg CaptureConfig) (*Groups, error) {
	choose, err := newChoice(cfg.Only, cfg.Exclude)
	if err != nil {
		return nil, err
	}
	c := newGroupsClient(cl, cfg.RetryFor, cfg.OnRetry)
	g := &Groups{At: time.Now().UTC(), Groups: []Group{}, NotCarried: []NotCarried{}, Unread: []string{}}
	if _, g.ClusterID, err = c.topics(ctx, nil); err != nil {
		return nil, fmt.Errorf("offsets: capture: %w", err)
	}
	listed, unread, err := c.list(ctx)
	if err != nil {
		return nil, fmt.Errorf("offsets: capture: %w", err)
	}
	g.Unread = append(g.Unread, unread...)
	if len(listed) == 0 && len(unread) == 0 {
		if err := c.unseen(ctx); err != nil {
			g.Unread = append(g.Unread, err.Error())
		}
	}
	for name, group := range listed {
		switch {
		case !choose.takes(name):
		case group.Type == "share":
			g.NotCarried = append(g.NotCarried, NotCarried{name, group.Type, "share groups (KIP-932) have no committed offsets"})
		default:
			g.Groups = append(g.Groups, group)
		}
	}
	lost := cfg.lost(g, choose, listed)
	if err := c.fill(ctx, g, !cfg.SkipPending); err != nil {
		return nil, fmt.Errorf("offsets: capture: %w", err)
	}
	if err := c.carryLost(ctx, g, lost, cfg.Since); err != nil {
		return nil, fmt.Errorf("offsets: capture: %w", err)
	}
	cfg.carryUnread(g)
	g.sort()
	return g, nil
}

// fill asks for the groups' offsets, then for the partitions that have pending commits.
func (c *groupsClient) fill(ctx context.Context, g *Groups, pending bool) error {
	names := make([]string, len(g.Groups))
	for i := range g.Groups {
		names[i] = g.Groups[i].Group
	}
	got, failed := c.fetch(ctx, names, false)
	var stable map[string]fetched
	if pending && ctx.Err() == nil {
		var ask []string // of those without offsets it can't be told, and those that failed were asked long enough
		for _, name := range names {
			if len(got[name].offsets) > 0 {
				ask = append(ask, name)
			}
		}
		var unsaid map[string]error
		stable, unsaid = c.fetch(ctx, ask, true)
		for name, err := range unsaid {
			failed[name] = fmt.Errorf("pending commits: %w", err)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for i := range g.Groups {
		group := &g.Groups[i]
		group.Offsets, group.Pending = got[group.Group].offsets, stable[group.Group].pending
		if group.Offsets == nil {
			group.Offsets = []Committed{}
		}
		errs := got[group.Group].errs
		if err := failed[group.Group]; err != nil {
			errs = append(errs, err)
		}
		if err := errors.Join(errs...); err != nil {
			group.Error = oneLine(err)
		}
	}
	return nil
}

// lost are the groups that the capture before had and the list lacks.
func (cfg *CaptureConfig) lost(g *Groups, choose *choice, listed map[string]Group) []Group {
	var lost []Group
	if cfg.Since == nil {
		return nil
	}
	for _, was := range cfg.Since.Groups {
		if _, there := listed[was.Group]; there || !choose.takes(was.Group) {
			continue
		}
		if was.AbsentSince.IsZero() {
			was.AbsentSince = g.At
		}
		if cfg.KeepAbsent <= 0 || g.At.Sub(was.AbsentSince) <= cfg.KeepAbsent {
			lost = append(lost, was)
		}
	}
	return lost
}

// carryLost asks for groups that aren't listed by name, since a list misses a group whose
// coordinator moves meanwhile. Those that are really gone are carried as absent.
func (c *groupsClient) carryLost(ctx context.Context, g *Groups, lost []Group, since *Groups) error {
	names := make([]string, len(lost))
	for i := range lost {
		names[i] = lost[i].Group
	}
	got, failed := c.fetch(ctx, names, false)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, was := range lost {
		now, err := got[was.Group], failed[was.Group]
		of := asOf(&was, since)
		was.Pending, was.Error = nil, ""
		switch {
		case err != nil:
			if was.AbsentSince.Equal(g.At) {
				was.AbsentSince = time.Time{}
			}
			was.Error = "not listed, and couldn't be asked for: " + oneLine(err) + carriedFrom + of
		case len(now.offsets) > 0:
			was.AbsentSince, was.State, was.Offsets = time.Time{}, "", now.offsets
		default:
			was.State = ""
		}
		was.Offsets = slices.Clip(was.Offsets)
		g.Groups = append(g.Groups, was)
	}
	return nil
}

// carryUnread keeps the offsets of the capture before where a group's couldn't be read now.
func (cfg *CaptureConfig) carryUnread(g *Groups) {
	if cfg.Since == nil {
		return
	}
	before := make(map[string]*Group, len(cfg.Since.Groups))
	for i := range cfg.Since.Groups {
		before[cfg.Since.Groups[i].Group] = &cfg.Since.Groups[i]
	}
	for i := range g.Groups {
		group, was := &g.Groups[i], before[g.Groups[i].Group]
		if group.Error != "" && len(group.Offsets) == 0 && was != nil && len(was.Offsets) > 0 {
			group.Offsets, group.Error = slices.Clip(was.Offsets), group.Error+carriedFrom+asOf(was, cfg.Since)
		}
	}
}

// Carried is a group of the capture before whose offsets weren't read again, with the reason, and
// their age, in its Error.
func Carried(was *Group, since *Groups, why string) *Group {
	g := *was
	g.Error = why + carriedFrom + asOf(was, since)
	return &g
}

// carriedFrom is followed by the time of carried offsets, at the end of a group's error.
const carriedFrom = "; the offsets are those of "

// asOf is when a group's offsets were read, which may have been carried already.
func asOf(was *Group, since *Groups) string {
	if i := strings.LastIndex(was.Error, carriedFrom); i >= 0 {
		return was.Error[i+len(carriedFrom):]
	}
	if since.At.IsZero() {
		return "the capture before"
	}
	return since.At.UTC().Format(time.RFC3339)
}

// unseen says why there may be groups though none is listed: brokers leave those out that may not
// be described.
func (c *groupsClient) unseen(ctx context.Context) error {
	const any = "kafkadr-none"
	_, failed := c.fetch(ctx, []string{any}, false)
	if err := failed[any]; errors.Is(err, kerr.GroupAuthorizationFailed) {
		return fmt.Errorf("no group is listed, and groups may not be described: %w", err)
	}
	return nil
}

// choice chooses groups by name.
type choice struct{ only, exclude []*regexp.Regexp }

func newChoice(only, exclude []string) (*choice, error) {
	c := &choice{}
	var errs []error
	for _, list := range []struct {
		name  string
		texts []string
		into  *[]*regexp.Regexp
	}{{"Only", only, &c.only}, {"Exclude", exclude, &c.exclude}} {
		for _, text := range list.texts {
			re, err := regexp.Compile("^(?:" + text + ")$")
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", list.name, err))
				continue
			}
			*list.into = append(*list.into, re)
		}
	}
	if len(errs) > 0 {
		return nil, &ConfigError{Job: "offsets", Errs: errs}
	}
	return c, nil
}

func (c *choice) takes(name string) bool {
	matches := func(re *regexp.Regexp) bool { return re.MatchString(name) }
	return (len(c.only) == 0 || slices.ContainsFunc(c.only, matches)) && !slices.ContainsFunc(c.exclude, matches)
}
