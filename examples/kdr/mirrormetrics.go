package main

import (
	"fmt"
	"net/http"

	"github.com/kafkadr/kafkadr/mirror/mirrorprom"
)

// mirrorHandler serves a mirror's metrics; its health is that no partition has stopped.
func mirrorHandler(m mirrorprom.Mirror) http.Handler {
	return metricsHandler(mirrorprom.New(m, mirrorprom.Config{}), func() error {
		if s := m.Status(); s.Stopped > 0 {
			return fmt.Errorf("%d of %d partitions have stopped", s.Stopped, s.Partitions)
		}
		return nil
	})
}
