package quorum_test

import (
	"context"
	"fmt"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
)

// Three stores that fail independently are one register.
func Example() {
	ctx := context.Background()
	stores := []register.Store{register.NewMemory(), register.NewMemory(), register.NewMemory()} // or three buckets
	r, err := quorum.New(quorum.Config{Stores: stores})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := register.Begin(ctx, r, "orders", register.Epoch{Active: "east", By: "operator"}); err != nil {
		fmt.Println(err)
		return
	}
	e, err := register.Latest(ctx, r, "orders")
	fmt.Println(e.Number, e.Active, err)
	// Output: 1 east <nil>
}
