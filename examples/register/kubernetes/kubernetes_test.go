package kubernetes_test

import (
	"strings"
	"testing"

	"k8s.io/client-go/kubernetes/fake"

	"github.com/kafkadr/kafkadr/examples/register/kubernetes"
	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/registertest"
)

// TestConformance runs against client-go's fake, which keeps objects in memory.
func TestConformance(t *testing.T) {
	leases := fake.NewClientset().CoordinationV1().Leases("kafka")
	registertest.Run(t, func(t testing.TB) register.Register {
		return kubernetes.New(leases, strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-"))+"-")
	})
}
