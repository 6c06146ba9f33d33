package failover

import (
	"errors"
	"strings"
)

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done.
type ConfigError struct{ Faults []error }

func (e *ConfigError) Error() string {
	return "failover: configuration: " + strings.ReplaceAll(errors.Join(e.Faults...).Error(), "\n", "; ")
}

// Unwrap returns the faults.
func (e *ConfigError) Unwrap() []error { return e.Faults }
