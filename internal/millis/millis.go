// Package millis has the durations of results, statuses, plans and reports: in JSON they are
// milliseconds.
package millis

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Duration is a time.Duration that marshals to a number of milliseconds, with microseconds as
// decimals. The name of its field in JSON ends in _ms. A negative one stands for "not known" and is
// -1, or the whole milliseconds below.
type Duration time.Duration

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) {
	if d < 0 {
		return json.Marshal(int64(math.Floor(float64(d) / float64(time.Millisecond))))
	}
	return json.Marshal(float64(time.Duration(d).Microseconds()) / 1e3)
}

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(raw []byte) error {
	var ms float64
	if err := json.Unmarshal(raw, &ms); err != nil {
		return fmt.Errorf("milliseconds: %w", err)
	}
	ns := math.Round(ms * float64(time.Millisecond))
	if ns >= math.MaxInt64 || ns <= math.MinInt64 {
		return fmt.Errorf("milliseconds: %s is out of range", raw)
	}
	*d = Duration(ns)
	return nil
}

// String is [time.Duration.String].
func (d Duration) String() string { return time.Duration(d).String() }

// Seconds is [time.Duration.Seconds].
func (d Duration) Seconds() float64 { return time.Duration(d).Seconds() }

// Milliseconds is [time.Duration.Milliseconds].
func (d Duration) Milliseconds() int64 { return time.Duration(d).Milliseconds() }

// Round is [time.Duration.Round].
func (d Duration) Round(m time.Duration) time.Duration { return time.Duration(d).Round(m) }
