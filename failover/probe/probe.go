package probe

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Target is what a probe looks at.
type Target struct {
	// Name is the cluster's name, Opts how a client connects to it: seed brokers, TLS, SASL.
	Name string
	Opts []kgo.Opt
}

// Probe looks at a cluster once. nil is healthy; an error says what is wrong. It ends within its
// context, leaves nothing behind, and may be called by several goroutines.
type Probe func(ctx context.Context, t Target) error
