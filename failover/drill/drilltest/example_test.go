package drilltest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
)

// exampleT stands in for the *testing.T that a test has.
type exampleT struct{ ctx context.Context }

func (t exampleT) Context() context.Context        { return t.ctx }
func (exampleT) Helper()                           {}
func (exampleT) Logf(string, ...any)               {}
func (exampleT) Errorf(format string, args ...any) { log.Printf(format, args...) }
func (exampleT) Fatalf(format string, args ...any) { log.Fatalf(format, args...) }

// A test kills the primary under a load of failover clients, and is told what that cost.
func Example() {
	t := exampleT{context.Background()}
	s, _ := drill.Find("primary_killed")
	e := drilltest.Run(t, s, drilltest.Options{})
	fmt.Println("active:", e.Active)
	fmt.Println("lost", e.Lost, "doubled", e.Doubled, "reordered", e.Reordered)
	// Output:
	// active: standby
	// lost 0 doubled 0 reordered 0
}
