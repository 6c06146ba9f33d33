package lease_test

import (
	"fmt"
	"time"

	"github.com/kafkadr/kafkadr/failover/internal/lease"
)

func Example() {
	now := time.Now()
	l := lease.New(lease.Config{
		Lease: 10 * time.Second,
		Clock: func() lease.Instant { return lease.Instant{Mono: now, Wall: now} },
	})
	start := l.Begin() // then the register is read, and there is no later epoch
	now = now.Add(4 * time.Second)
	l.Confirm(start)
	fmt.Println("read:", l.Valid())
	now = now.Add(6 * time.Second)
	fmt.Println("6s later:", l.Err())
	// Output:
	// read: true
	// 6s later: lease: expired
}
