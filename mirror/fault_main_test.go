package mirror

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pool has the real clusters that tests share.
var pool testkafka.Pool

// TestMain runs a mirror where the environment has a job for one, else the tests.
func TestMain(m *testing.M) {
	if job := os.Getenv(childEnv); job != "" {
		os.Exit(child(job))
	}
	code := pool.Run(m.Run)
	// toxiproxy leaves what waits to be sent over a connection that has ended, on either side of a
	// toxic.
	toxic := goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2/toxics.(*ToxicStub).Run")
	link := goleak.IgnoreAnyFunction("github.com/Shopify/toxiproxy/v2.(*ToxicLink).read")
	if err := goleak.Find(toxic, link); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
