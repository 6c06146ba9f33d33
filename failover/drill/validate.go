package drill

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// InvalidError says what is wrong with a scenario, all of it.
type InvalidError struct {
	Scenario string
	Errs     []error
}

func (e *InvalidError) Error() string {
	return fmt.Sprintf("drill: scenario %q: %s", e.Scenario, strings.ReplaceAll(errors.Join(e.Errs...).Error(), "\n", "; "))
}

// Unwrap returns the faults.
func (e *InvalidError) Unwrap() []error { return e.Errs }

// Validate says what is wrong, all of it: an *[InvalidError].
func (s Scenario) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(s.Name) {
		bad("name %q isn't of lower-case letters, digits and underscores", s.Name)
	}
	if !slices.Contains([]Outcome{Switch, Stay, Either}, s.Expect) {
		bad("expect %q is none of switch, stay, either", s.Expect)
	}
	if len(s.Faults) == 0 && !s.Planned {
		bad("nothing happens: no faults, and not planned")
	}
	for i, f := range s.Faults {
		for _, err := range f.validate() {
			bad("faults[%d]: %w", i, err)
		}
	}
	if s.MaxRPO != nil && *s.MaxRPO < 0 {
		bad("max_rpo is negative")
	}
	for _, d := range []struct {
		name  string
		value Duration
	}{{"after", s.After}, {"settle", s.Settle}, {"timeout", s.Timeout}, {"budgets.rto", s.Budgets.RTO}, {"budgets.pause", s.Budgets.Pause}} {
		if d.value < 0 {
			bad("%s is negative", d.name)
		}
	}
	errs = append(errs, s.Budgets.validate()...)
	errs = append(errs, s.Load.validate()...)
	if len(errs) > 0 {
		return &InvalidError{s.Name, errs}
	}
	return nil
}

func (f Fault) validate() (errs []error) {
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !slices.Contains([]Kind{Kill, Blackhole, Slow, Flap}, f.Kind) {
		bad("kind %q is none of kill, blackhole, slow, flap", f.Kind)
	}
	if !slices.Contains([]Place{Primary, Standby, Mirror, Register}, f.On) {
		bad("on %q is none of primary, standby, mirror, register", f.On)
	}
	if !slices.Contains([]Moment{Steady, Closing}, f.From) {
		bad("from %q is not closing", f.From)
	}
	if f.After < 0 || f.For < 0 || f.Every < 0 || f.Latency < 0 {
		bad("a time is negative")
	}
	if (f.Kind == Slow) != (f.Latency > 0) {
		bad("latency is for slow, which needs it")
	}
	if f.Every != 0 && f.Kind != Flap {
		bad("every is for flap")
	}
	if len(f.Brokers) > 0 && f.On != Primary && f.On != Standby {
		bad("the %s has no brokers", f.On)
	}
	if slices.ContainsFunc(f.Brokers, func(b int) bool { return b < 0 }) {
		bad("a broker's index is negative")
	}
	return errs
}

func (b Budgets) validate() (errs []error) {
	counts := map[string]int64{"lost": b.Lost, "duplicated": b.Doubled, "reordered": b.Reordered, "skipped": b.Skipped}
	if b.RPORecords != nil {
		counts["rpo_records"] = *b.RPORecords
	}
	for _, name := range sortedKeys(counts) {
		if counts[name] < 0 {
			errs = append(errs, fmt.Errorf("budgets.%s is negative", name))
		}
	}
	return errs
}
