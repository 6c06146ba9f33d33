package failover

import (
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// TestClientBeginsNoScope: a client begins none, and the error names what the register has; one
// without a register says so.
func TestClientBeginsNoScope(t *testing.T) {
	s := newStage(t)
	begin(t, Config{Clusters: s.clusters(), Register: s.reg, Scope: "shop"})
	var none *register.NoScopeError
	if _, err := NewClient(t.Context(), Config{Clusters: s.clusters(), Register: s.reg, Scope: "shoop"}); !errors.As(err, &none) || !strings.Contains(err.Error(), "there are: shop") {
		t.Error(err)
	}
	if _, err := register.Latest(t.Context(), s.reg, "shoop"); !errors.Is(err, register.ErrNoEpoch) {
		t.Error(err)
	}
	var faults *ConfigError
	for _, cfg := range []Config{{Clusters: s.clusters()}, {Clusters: s.clusters(), Register: s.reg, Alone: true}} {
		if _, err := NewClient(t.Context(), cfg); !errors.As(err, &faults) || len(faults.Errs) != 1 || !strings.Contains(err.Error(), "Alone") {
			t.Error(err)
		}
	}
	if _, err := kadm.NewClient(testkafka.Client(t, s.a)).CreateTopic(t.Context(), 1, 1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	c, err := NewClient(t.Context(), Config{Clusters: s.clusters(), Alone: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.ProduceSync(t.Context(), record("t", 0, 1)).FirstErr(); err != nil || c.Status().Cluster != "a" {
		t.Error(err, c.Status())
	}
}

// TestClientRegistersID: the register's cluster ID holds, whatever is configured.
func TestClientRegistersID(t *testing.T) {
	s := newStage(t)
	first := register.Epoch{Active: "a", ActiveID: s.a.ID(), Clusters: []register.Member{{Name: "a", ID: s.a.ID()}, {Name: "b", ID: s.b.ID()}}}
	if _, err := register.Begin(t.Context(), s.reg, "default", first); err != nil {
		t.Fatal(err)
	}
	mistyped := s.clusters()
	mistyped[0].ID = "mistyped"
	c, err := NewClient(t.Context(), Config{Clusters: mistyped, Register: s.reg})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	swapped := s.clusters()
	swapped[0].Opts = swapped[1].Opts
	var wrong *WrongClusterError
	if _, err := NewClient(t.Context(), Config{Clusters: swapped, Register: s.reg}); !errors.As(err, &wrong) || wrong.Want != s.a.ID() {
		t.Error(err)
	}
}
