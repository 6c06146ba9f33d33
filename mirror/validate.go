package mirror

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/internal/topics"
)

// complete fills the defaults in and reports all faults at once.
func (c Config) complete() (Config, error) {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(c.Source) == 0 {
		fault("Source is missing: the source cluster's client options")
	}
	if len(c.Target) == 0 {
		fault("Target is missing: the standby cluster's client options")
	}
	if _, err := topics.New(c.Topics, c.Exclude); err != nil {
		errs = append(errs, err)
	}
	for _, pattern := range slices.Concat(c.Groups, c.ExcludeGroups) {
		if _, err := regexp.Compile("^(?:" + pattern + ")$"); err != nil {
			fault("groups %q: %w", pattern, err)
		}
	}
	if !legal(c.Prefix) {
		fault("Prefix %q has characters that topic names can't have, or is too long", c.Prefix)
	}
	if c.Name == "" {
		c.Name = "mirror"
	}
	if !legal(c.Name) {
		fault("Name %q has characters that topic names can't have, or is too long", c.Name)
	}
	errs = append(errs, c.numbers()...)
	if c.Writes != "" && c.Writes != WritesWithheld && c.Writes != WritesCarried {
		fault("Writes can't be %q", c.Writes)
	}
	for kind, policy := range c.Policies {
		switch may := allowed(kind); {
		case may == nil:
			fault("Policies: %q isn't a kind of event that has a policy; these have one: %s", kind, withPolicy())
		case !slices.Contains(may, policy):
			fault("Policies: %s can't be %q; it may be %q", kind, policy, may)
		}
	}
	if len(errs) > 0 {
		return c, &ConfigError{Job: "mirror", Errs: errs}
	}
	return c.withDefaults(), nil
}

func (c *Config) numbers() (errs []error) {
	for _, n := range []struct {
		name  string
		value int64
	}{
		{"ReplicationFactor", int64(c.ReplicationFactor)}, {"MaxBytesPerSecond", c.MaxBytesPerSecond}, {"MemoryBytes", c.MemoryBytes},
		{"Discover", int64(c.Discover)}, {"GroupInterval", int64(c.GroupInterval)}, {"Heartbeat", int64(c.Heartbeat)}, {"MaxHoleTime", int64(c.MaxHoleTime)},
	} {
		if n.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative", n.name))
		}
	}
	if c.MemoryBytes > 0 && c.MemoryBytes < minMemory {
		errs = append(errs, errors.New("MemoryBytes is less than 1 MiB"))
	}
	return errs
}

const (
	minMemory     = 1 << 20
	defaultMemory = 64 << 20
)

func (c Config) withDefaults() Config {
	def(&c.MemoryBytes, defaultMemory)
	def(&c.Discover, 5*time.Second)
	def(&c.GroupInterval, 5*time.Second)
	def(&c.MaxHoleTime, time.Hour)
	def(&c.tuning.retryFor, time.Minute)
	def(&c.tuning.identity, 30*time.Second)
	def(&c.tuning.lag, 5*time.Second)
	def(&c.tuning.pause, 30*time.Second)
	if c.Writes == "" {
		c.Writes = WritesWithheld
	}
	if c.ClientID == "" {
		c.ClientID = "kafkadr"
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func def[T int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// legal says whether a name has only what topic names may have, and leaves room for another
// character.
func legal(name string) bool { return topics.Legal(name) && len(name) < topics.MaxName }
