package instep

import (
	"regexp"
	"time"
)

// Gone is the policy for groups, and offsets of groups, that the source has no more.
type Gone string

// Diverged is the policy for groups whose offsets on the standby somebody else has moved.
type Diverged string

// Policies for groups.
const (
	// GoneKept leaves them on the standby, where they expire in their time. The default.
	GoneKept Gone = "keep"
	// GoneDeleted deletes them on the standby, where nobody else has touched them.
	GoneDeleted Gone = "delete"

	// LeftAlone doesn't touch them until they are again what was committed from here, or what the
	// source has. The default.
	LeftAlone Diverged = "leave"
	// Overwrite commits the source's offsets, once the group has no members on the standby.
	Overwrite Diverged = "overwrite"
)

// GroupsConfig says which groups are kept in step, and how.
type GroupsConfig struct {
	Sides

	// Only are the groups to take, Exclude those to leave out of them. Default: all.
	Only, Exclude []*regexp.Regexp
	// Gone and Diverged are policies. Default GoneKept and LeftAlone.
	Gone     Gone
	Diverged Diverged

	// Interval is how often Sync is called. Default 5 s. A broker that doesn't answer holds its
	// groups up for twice that at most, and no others.
	Interval time.Duration
	// Refresh is how long an unchanged offset goes without being committed again, at most a third
	// of the standby's offsets.retention.minutes. Default 24 h.
	Refresh time.Duration
	// Look is how often the standby's offsets of a group that doesn't change are looked at. Default
	// 1 min.
	Look time.Duration
	// Settle is how long a group must be unchanged until its offsets are noted in the ledger.
	// Default 5 min.
	Settle time.Duration
	// Pending is how long a transactional commit must be pending to be told. Default 1 min.
	Pending time.Duration
	// Commits is how many groups are committed at once. Default 16.
	Commits int
}

func (c GroupsConfig) withDefaults() GroupsConfig {
	c.Sides = c.Sides.withDefaults()
	if c.Gone == "" {
		c.Gone = GoneKept
	}
	if c.Diverged == "" {
		c.Diverged = LeftAlone
	}
	for _, d := range []struct {
		at *time.Duration
		to time.Duration
	}{{&c.Interval, 5 * time.Second}, {&c.Refresh, 24 * time.Hour}, {&c.Look, time.Minute}, {&c.Settle, 5 * time.Minute}, {&c.Pending, time.Minute}} {
		if *d.at <= 0 {
			*d.at = d.to
		}
	}
	if c.Commits <= 0 {
		c.Commits = 16
	}
	return c
}

// takes says whether a group is one of ours to carry.
func (c *GroupsConfig) takes(group string) bool {
	if len(c.Only) > 0 && !matches(c.Only, group) {
		return false
	}
	return !matches(c.Exclude, group)
}

func matches(res []*regexp.Regexp, s string) bool {
	for _, re := range res {
		if re.MatchString(s) {
			return true
		}
	}
	return false
}
