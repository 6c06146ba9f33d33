package drilltest

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// pool has the real clusters that the tests share.
var pool testkafka.Pool

func TestMain(m *testing.M) {
	code := pool.Run(m.Run)
	if err := goleak.Find(); err != nil && code == 0 {
		_, _ = os.Stderr.WriteString(err.Error())
		code = 1
	}
	os.Exit(code)
}
