package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Place is what a fault is on.
type Place string

// The places.
const (
	// Primary is the cluster that is active at the start, Standby the other one: the whole cluster,
	// or some of its brokers.
	Primary Place = "primary"
	Standby Place = "standby"
	// Mirror is the copy from the primary to the standby.
	Mirror Place = "mirror"
	// Register is the register, for all who use it.
	Register Place = "register"
)

// Kind is what a fault does.
type Kind string

// The kinds.
const (
	// Kill: connections break, new ones are refused; what was acked stays on disk.
	Kill Kind = "kill"
	// Blackhole: connections stay open, and nothing comes through, either way.
	Blackhole Kind = "blackhole"
	// Slow: everything takes Latency longer.
	Slow Kind = "slow"
	// Flap: killed and healed in turn, each for Every.
	Flap Kind = "flap"
)

// Moment is what a fault's time counts from.
type Moment string

// The moments.
const (
	// Steady is when everything runs: records are acked and consumed, and the standby has the
	// topics.
	Steady Moment = ""
	// Closing is when the register has the first epoch that nobody is active in: a switch is under
	// way.
	Closing Moment = "closing"
)

// Fault is one thing that goes wrong.
type Fault struct {
	// Required.

	// Kind is what it does, On what is hit.
	Kind Kind  `json:"kind"`
	On   Place `json:"on"`

	// Optional.

	// After is the time from From until it begins. The first fault is where the recovery time
	// counts from.
	After Duration `json:"after,omitempty"`
	From  Moment   `json:"from,omitempty"`
	// For is how long it lasts. Default: until the drill's load has ended.
	For Duration `json:"for,omitempty"`
	// Brokers are the brokers that are hit, as indexes into the cluster's list of them. Default:
	// all.
	Brokers []int `json:"brokers,omitempty"`
	// Latency is [Slow]'s.
	Latency Duration `json:"latency,omitempty"`
	// Every is [Flap]'s. Default 300 ms.
	Every Duration `json:"every,omitempty"`
}

// defaultEvery is a flap's.
const defaultEvery = 300 * time.Millisecond

// String is the fault as a line.
func (f Fault) String() string {
	s := fmt.Sprintf("%s of the %s", f.Kind, f.On)
	if len(f.Brokers) > 0 {
		s = fmt.Sprintf("%s of brokers %v of the %s", f.Kind, f.Brokers, f.On)
	}
	if f.Latency > 0 {
		s += fmt.Sprintf(" by %v", f.Latency)
	}
	if f.For > 0 {
		s += fmt.Sprintf(", for %v", f.For)
	}
	return s
}

// Outcome is who ought to be active at the end.
type Outcome string

// The outcomes.
const (
	// Switch: the standby is active.
	Switch Outcome = "switch"
	// Stay: the primary is, and nobody else was in between.
	Stay Outcome = "stay"
	// Either: one of the two is.
	Either Outcome = "either"
)

// Budgets are what a drill may cost. What isn't named may not happen at all.
type Budgets struct {
	// RTO bounds the time from the first fault, or the command, to the first record that is acked
	// by the cluster that the switch went to. Default: not bounded.
	RTO Duration `json:"rto,omitempty"`
	// Pause bounds the longest time between two acks. Default: not bounded.
	Pause Duration `json:"pause,omitempty"`
	// RPORecords bounds the acked records that weren't on the standby at the switch. Default: not
	// bounded, for whoever still has them may replay them.
	RPORecords *int64 `json:"rpo_records,omitempty"`
	// Lost, Doubled, Reordered and Skipped bound what [Counts] counts. Default 0.
	Lost      int64 `json:"lost,omitempty"`
	Doubled   int64 `json:"duplicated,omitempty"`
	Reordered int64 `json:"reordered,omitempty"`
	Skipped   int64 `json:"skipped,omitempty"`
}

// Scenario is a disaster, and what ought to come of it.
type Scenario struct {
	// Required.

	// Name is lower-case letters, digits and underscores.
	Name string `json:"name"`
	// Expect is who ought to be active at the end.
	Expect Outcome `json:"expect"`

	// Optional.

	// About is for people.
	About string `json:"about,omitempty"`
	// Faults are what goes wrong. Default: nothing, which needs Planned.
	Faults []Fault `json:"faults,omitempty"`
	// Planned is a switchover by command, After the steady state began. Default: the controllers
	// decide by themselves.
	Planned bool     `json:"planned,omitempty"`
	After   Duration `json:"after,omitempty"`
	// MaxRPO is the controllers' budget: they don't switch where more records aren't on the
	// standby. Default: any number.
	MaxRPO *int64 `json:"max_rpo,omitempty"`
	// Load is what applications do meanwhile.
	Load Load `json:"load,omitzero"`
	// Settle is how long the load goes on when all is over. Default 1 s.
	Settle Duration `json:"settle,omitempty"`
	// Timeout bounds the whole drill. Default 1 min.
	Timeout Duration `json:"timeout,omitempty"`
	// Budgets are what it may cost.
	Budgets Budgets `json:"budgets,omitzero"`
}

// Parse reads a scenario from JSON and validates it. A field that isn't known is an error.
func Parse(text []byte) (Scenario, error) {
	var s Scenario
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return Scenario{}, fmt.Errorf("drill: scenario: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Scenario{}, fmt.Errorf("drill: scenario: more than one document")
	}
	return s, s.Validate()
}

func (s Scenario) settle() time.Duration { return s.Settle.or(time.Second) }
