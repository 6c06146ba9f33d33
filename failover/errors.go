package failover

import "github.com/kafkadr/kafkadr/internal/fault"

// ConfigError lists what is wrong with a configuration, all of it. No I/O was done. It is the same
// type in all jobs.
type ConfigError = fault.ConfigError
