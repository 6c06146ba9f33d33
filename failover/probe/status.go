package probe

import (
	"time"

	"github.com/kafkadr/kafkadr/internal/millis"
)

// State is what a monitor holds of a cluster.
type State string

// States of a cluster.
const (
	// Unknown: not looked at yet, or the probe can't tell: Status.Error says why.
	Unknown State = "unknown"
	// Healthy: it can be used.
	Healthy State = "healthy"
	// Suspect: a look failed, too few for it to be down.
	Suspect State = "suspect"
	// Down: it can't be used, by the rule.
	Down State = "down"
)

// Result is one look.
type Result struct {
	At   time.Time       `json:"at"`
	Took millis.Duration `json:"took_ms"`
	// OK says that it counts as a success, Failed as a failure. Neither: it can't tell.
	OK     bool `json:"ok"`
	Failed bool `json:"failed,omitempty"`
	// Kind is the gravest fault's; empty where there was none, or the error is another probe's own.
	Kind Kind `json:"kind,omitempty"`
	// Err is what the probe said, Error its text.
	Err   error  `json:"-"`
	Error string `json:"error,omitempty"`
}

// Status is where a monitor stands.
type Status struct {
	Cluster string `json:"cluster"`
	State   State  `json:"state"`
	// Since is when it came into that state.
	Since time.Time `json:"since"`
	// Kind, Err and Error are of the last look that wasn't a success; they stay until the state is
	// healthy.
	Kind  Kind   `json:"kind,omitempty"`
	Err   error  `json:"-"`
	Error string `json:"error,omitempty"`
	// Flaps are how often it was down again soon after it was healthy.
	Flaps int `json:"flaps,omitempty"`
	// Latency is how long the last success took.
	Latency millis.Duration `json:"latency_ms,omitempty"`
	// HealthyAt is when it may be healthy again at the earliest, while it is down and well.
	HealthyAt time.Time `json:"healthy_at,omitzero"`
	// History are the last looks, as many as the rule looks at, the oldest first.
	History []Result `json:"history,omitempty"`
}

// Change is a monitor's step from one state to another.
type Change struct {
	From, To State
	// Status is what it is after the step.
	Status Status
}

// Hooks are called by Run, one at a time, in order; a slow one delays the next look. A nil func
// isn't called.
type Hooks struct {
	// OnResult is called after each look.
	OnResult func(Result)
	// OnChange is called when the state changes, after OnResult.
	OnChange func(Change)
}
