package bucket_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/registertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func first(scope string) register.Epoch { return registertest.Epochs(scope, 1)[0] }

func second(_ register.Epoch, err error) error { return err }
