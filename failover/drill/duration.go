package drill

import (
	"fmt"
	"time"
)

// Duration is a [time.Duration] that is text in JSON, as "1.5s".
type Duration time.Duration

func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText is the text, as of [time.Duration].
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is [time.ParseDuration].
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("drill: %w", err)
	}
	*d = Duration(parsed)
	return nil
}

// or is the duration, or another where it is zero.
func (d Duration) or(other time.Duration) time.Duration {
	if d == 0 {
		return other
	}
	return time.Duration(d)
}
