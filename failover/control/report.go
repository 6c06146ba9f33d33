package control

import (
	"errors"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Outcome is what became of a step.
type Outcome string

// Outcomes of steps.
const (
	OutcomeDone    Outcome = "done"
	OutcomeSkipped Outcome = "skipped" // nothing to do
	OutcomeLate    Outcome = "late"    // its deadline passed; the switch went on without it
	OutcomeFailed  Outcome = "failed"  // it vetoed, or the switch went on without it
)

// End is what became of a switch.
type End string

// Ends of switches.
const (
	// EndSwitched: the target is active.
	EndSwitched End = "switched"
	// EndRefused: nothing was changed.
	EndRefused End = "refused"
	// EndGivenUp: the cluster it came from is active again.
	EndGivenUp End = "given_up"
	// EndClosed: the closing epoch stands, nobody writes.
	EndClosed End = "closed"
	// EndOvertaken: another controller was first.
	EndOvertaken End = "overtaken"
	// EndUnclear: whether an epoch was written isn't known, since the register didn't tell.
	EndUnclear End = "unclear"
)

// Phase is a step as it was done.
type Phase struct {
	Step  Step      `json:"step"`
	Start time.Time `json:"start"`
	// Millis is how long it took, by the monotonic clock.
	Millis  float64 `json:"ms"`
	Outcome Outcome `json:"outcome"`
	Detail  string  `json:"detail,omitempty"`
}

// Report is what a switch did: RTO by phase, RPO by partition. It prints and marshals. What clients
// saw, they report themselves.
type Report struct {
	// ID is the switch's, as in the register.
	ID    string `json:"id"`
	Scope string `json:"scope"`
	From  string `json:"from"`
	To    string `json:"to"`
	How   How    `json:"how"`
	By    string `json:"by"`
	// Resumed says that another controller, or an earlier life of this one, had begun it.
	Resumed bool   `json:"resumed,omitempty"`
	Reason  string `json:"reason,omitempty"`
	End     End    `json:"end"`
	// Error is why it didn't switch, Advice what to do then.
	Error  string `json:"error,omitempty"`
	Advice string `json:"advice,omitempty"`

	// Closed and Opened are the numbers of its two epochs, 0 where they weren't written by it or
	// seen.
	Closed int64     `json:"closed_epoch"`
	Opened int64     `json:"opened_epoch"`
	Start  time.Time `json:"start"`
	Phases []Phase   `json:"phases"`
	// RTOMillis is the time from the first sign, or the start where a command was, to the opening
	// epoch.
	RTOMillis float64 `json:"rto_ms"`
	// ClosedMillis of it nobody could write, as far as it's this report's controller that closed.
	ClosedMillis float64 `json:"closed_ms"`
	// FenceConfirmed says that the brokers refused writes, LeaseMillis how long was waited for the
	// lease where they didn't.
	FenceConfirmed bool    `json:"fence_confirmed"`
	LeaseMillis    float64 `json:"lease_ms"`

	// RPO is what To lacks, as last known, after refill; nil where there is no [Replication]. Of a
	// planned switch it is nothing.
	RPO *Lag `json:"rpo,omitempty"`
	// Forks are where the logs of To ended.
	Forks   []register.Fork `json:"forks,omitempty"`
	Tail    *TailResult     `json:"tail,omitempty"`
	Refill  *RefillResult   `json:"refill,omitempty"`
	Offsets *OffsetsResult  `json:"offsets,omitempty"`
	// Warnings are the plan's, and what was odd on the way.
	Warnings []string `json:"warnings,omitempty"`

	begun time.Time
}

func newReport(p *Plan) *Report {
	now := time.Now()
	r := &Report{
		ID: p.ID, Scope: p.Scope, From: p.From, To: p.To, How: p.How, By: p.c.cfg.Name, Resumed: p.Resumes != nil, Reason: p.Reason,
		Start: now, Phases: []Phase{}, RPO: p.Lag, Warnings: append([]string(nil), p.Warnings...), begun: now,
	}
	if p.Resumes != nil {
		r.Closed = p.Resumes.Number
	}
	if !p.down.IsZero() {
		r.begun = p.down
		r.Phases = append(r.Phases, Phase{StepDetect, p.down, inMillis(p.At.Sub(p.down)), OutcomeDone, ""})
	}
	r.Phases = append(r.Phases, Phase{StepCheck, p.At, inMillis(p.took), OutcomeDone, ""})
	return r
}

func inMillis(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

// finish says what became of the switch.
func (r *Report) finish(err error) {
	if err == nil {
		r.RTOMillis = inMillis(time.Since(r.begun))
		return
	}
	r.Error = err.Error()
	var refused *RefusedError
	var overtaken *OvertakenError
	var closed *ClosedError
	switch {
	case r.End != "":
	case errors.As(err, &closed):
		r.End = EndClosed
	case errors.As(err, &overtaken):
		r.End = EndOvertaken
	case errors.As(err, &refused), r.Closed == 0:
		r.End = EndRefused
	default:
		r.End = EndClosed
	}
	r.Advice = r.advice()
}

// advice is what an operator can do.
func (r *Report) advice() string {
	switch r.End {
	case EndRefused:
		return "nothing was changed: clear what is in the way, and plan again"
	case EndGivenUp:
		return r.From + " is active again: clear what was in the way, and plan again"
	case EndClosed:
		return "no client writes: switch to " + r.To + " again to finish it, or to " + r.From + " to give it up"
	case EndOvertaken:
		return "the register's history says what the other controller did"
	case EndUnclear:
		return "whether the epoch was written can't be told while the register doesn't answer: look at its history then, and switch again where it is closed"
	}
	return ""
}
