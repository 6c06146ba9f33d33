package lease

import "github.com/kafkadr/kafkadr/internal/clock"

// Instant is a moment by all clocks there are.
type Instant = clock.Instant

// A Clock says what time it is. It must be safe for concurrent use.
type Clock = clock.Clock

// System is the machine's clocks.
func System() Instant { return clock.System() }

// Go is [time.Now] alone, for testing/synctest: time in a bubble stands still while the machine's
// clocks go on.
func Go() Instant { return clock.Go() }
