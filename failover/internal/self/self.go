// Package self names the process that writes to a register.
package self

import (
	"crypto/rand"
	"fmt"
	"os"
)

// Name is host, process and a random part: another one at each call.
func Name() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), rand.Text()[:6])
}
