package probe

import (
	"errors"
	"slices"
	"time"
)

// Rule says when a cluster is down, and when it is back. The zero value is the default.
type Rule struct {
	// Failures of the last Of looks, and the last two looks in a row, have to fail until the
	// cluster is down, so that one that comes and goes isn't. Default 3 of 5.
	Failures, Of int
	// Interval is from the start of one look to the next's. Default 1 s.
	Interval time.Duration
	// Timeout is what one look may take; longer is a failure. It draws the line between slow and
	// dead. Default 2 s.
	Timeout time.Duration
	// SlowerThan makes a failure ([Slow]) of a look that takes longer. Default 0: slowness isn't a
	// failure.
	SlowerThan time.Duration
	// Successes in a row make a cluster that was down or suspect healthy. Default 3.
	Successes int
	// Backoff is how long a cluster that was down more than once has to stay well before it is
	// healthy, beside Successes: this long after the first flap, then twice, four times … up to
	// MaxBackoff. A flap is to be down again within twice MaxBackoff of having been healthy.
	// Defaults 10 s and 5 min.
	Backoff, MaxBackoff time.Duration
	// AlsoDown are kinds of faults that count as failures beside those that do by default; Ignore
	// are kinds that don't count.
	AlsoDown, Ignore []Kind
}

const (
	defaultFailures   = 3
	defaultOf         = 5
	defaultInterval   = time.Second
	defaultTimeout    = 2 * time.Second
	defaultSuccesses  = 3
	defaultBackoff    = 10 * time.Second
	defaultMaxBackoff = 5 * time.Minute
	inARow            = 2
)

func (r Rule) withDefaults() Rule {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	if r.Failures == 0 {
		r.Failures = defaultFailures
	}
	if r.Of == 0 {
		r.Of = max(defaultOf, r.Failures)
	}
	if r.Successes == 0 {
		r.Successes = defaultSuccesses
	}
	set(&r.Interval, defaultInterval)
	set(&r.Timeout, defaultTimeout)
	set(&r.Backoff, min(defaultBackoff, max(r.MaxBackoff, 0)))
	set(&r.Backoff, defaultBackoff)
	set(&r.MaxBackoff, max(defaultMaxBackoff, r.Backoff))
	return r
}

// Validate says what is wrong with a rule.
func (r Rule) Validate() error {
	r = r.withDefaults()
	var errs []error
	wrong := func(is bool, what string) {
		if is {
			errs = append(errs, errors.New("probe: rule: "+what))
		}
	}
	wrong(r.Failures < 1 || r.Failures > r.Of, "Failures must be 1 to Of")
	wrong(r.Successes < 1, "Successes must be positive")
	wrong(r.Interval < 0 || r.Timeout < 0, "Interval and Timeout must be positive")
	wrong(r.SlowerThan < 0 || r.SlowerThan > r.Timeout, "SlowerThan must be 0 to Timeout")
	wrong(r.Backoff < 0 || r.MaxBackoff < r.Backoff, "Backoff must be 0 to MaxBackoff")
	return errors.Join(errs...)
}

// Detection is how long it takes at most from a cluster's end until the rule says so, where every
// look fails from then on: the look under way is good, and each of the next takes as long as it
// may.
func (r Rule) Detection() time.Duration {
	r = r.withDefaults()
	looks := max(r.Failures, min(inARow, r.Of))
	return r.Interval + time.Duration(looks-1)*max(r.Interval, r.Timeout) + r.Timeout
}

// fails says whether an error counts as a failure.
func (r Rule) fails(err error) bool {
	return down(err, func(k Kind) bool {
		return (countsAsDown(k) || slices.Contains(r.AlsoDown, k)) && !slices.Contains(r.Ignore, k)
	})
}

// backoff is how long a cluster has to stay well after so many flaps.
func (r Rule) backoff(flaps int) time.Duration {
	if flaps == 0 {
		return 0
	}
	d := r.Backoff
	for range flaps - 1 {
		if d >= r.MaxBackoff {
			break
		}
		d *= 2
	}
	return min(d, r.MaxBackoff)
}
