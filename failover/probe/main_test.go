package probe

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pool has the real clusters that tests share.
var pool testkafka.Pool

func TestMain(m *testing.M) {
	code := pool.Run(m.Run)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
