package backup

import "time"

// Impatient gives up soon, for tests that fail on purpose.
func Impatient(c Config) Config {
	c.storeTries, c.retryFor = 1, 500*time.Millisecond
	return c
}
