package register_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Two controllers move a scope to the other cluster; one of them wins.
func Example() {
	ctx := context.Background()
	r := register.NewMemory()
	now, err := register.Begin(ctx, r, "orders", register.Epoch{Active: "east", By: "controller 1"})
	must(err)
	closed, err := register.Advance(ctx, r, now, register.Epoch{From: "east", Target: "west", Switch: "f7", By: "controller 1", Reason: "east is down"})
	must(err)

	_, err = register.Advance(ctx, r, now, register.Epoch{From: "east", Target: "west", Switch: "a3", By: "controller 2"})
	var conflict *register.ConflictError
	fmt.Println(errors.As(err, &conflict), conflict.Epoch.Switch)

	_, err = register.Advance(ctx, r, closed, register.Epoch{
		From: "east", Target: "west", Switch: "f7", Active: "west", By: "controller 1",
		Forks: []register.Fork{{Topic: "orders", Partition: 0, Offset: 1842}},
	})
	must(err)
	for e, err := range register.History(ctx, r, "orders") {
		must(err)
		fmt.Printf("%d %q %v\n", e.Number, e.Active, e.Forks)
	}
	// Output:
	// true f7
	// 1 "east" []
	// 2 "" []
	// 3 "west" [{orders 0 1842}]
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
