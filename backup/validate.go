package backup

import (
	"errors"
	"fmt"
	"log/slog"
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
	if c.Archive == nil {
		fault("Archive is missing")
	}
	sel, err := topics.New(c.Topics, c.Exclude)
	if err != nil {
		errs = append(errs, err)
	}
	c.selection = sel
	if c.MaxBytesPerSecond < 0 {
		fault("MaxBytesPerSecond is negative: %d", c.MaxBytesPerSecond)
	}
	if c.SegmentBytes < 0 || c.SegmentBytes > 4<<30 {
		fault("SegmentBytes is out of range (up to 4 GiB): %d", c.SegmentBytes)
	}
	if c.FetchBytes < 0 || c.FetchBytes > 64<<20 {
		fault("FetchBytes is out of range (up to 64 MiB): %d", c.FetchBytes)
	}
	if len(errs) > 0 {
		return c, &ConfigError{Job: "backup", Errs: errs}
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = 64 << 20
	}
	if c.FetchBytes == 0 {
		c.FetchBytes = 8 << 20
	}
	if c.storeTries == 0 {
		c.storeTries = 8
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (c FollowerConfig) complete() (FollowerConfig, error) {
	var errs []error
	var err error
	var ce *ConfigError
	if c.Config, err = c.Config.complete(); errors.As(err, &ce) {
		errs = ce.Errs
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"Flush", &c.Flush, 10 * time.Second},
		{"Every", &c.Every, time.Minute},
		{"Discover", &c.Discover, 5 * time.Second},
	} {
		if *d.value < 0 {
			errs = append(errs, fmt.Errorf("%s is negative: %v", d.name, *d.value))
		}
		if *d.value == 0 {
			*d.value = d.unset
		}
	}
	if len(errs) > 0 {
		return c, &ConfigError{Job: "backup", Errs: errs}
	}
	return c, nil
}
