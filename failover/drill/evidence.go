package drill

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/register"
)

// Phases of the recovery time, each from the first fault, or the command, in the order in which
// they come.
const (
	// PhaseClosed: the register has closed the old epoch. It includes what it took to find out.
	PhaseClosed = "closed"
	// PhaseOpened: the standby is active.
	PhaseOpened = "opened"
	// PhaseFirstAck: it has acked a record.
	PhaseFirstAck = "first_ack"
	// PhaseFirstConsumed: a consumer got a record that was sent to it.
	PhaseFirstConsumed = "first_consumed"
)

// Evidence is what a drill has measured. It marshals, and prints.
type Evidence struct {
	Scenario string    `json:"scenario"`
	About    string    `json:"about,omitempty"`
	Started  time.Time `json:"started"`
	// DurationMillis is the whole drill's.
	DurationMillis int64 `json:"duration_ms"`
	// Passed says that the outcome was the expected one, every budget was kept, and nothing is in
	// Failures.
	Passed   bool     `json:"passed"`
	Failures []string `json:"failures,omitempty"`
	// Expected is the scenario's, Active who is active at the end, empty where nobody is; Epoch is
	// the register's last number.
	Expected Outcome `json:"expected"`
	Active   string  `json:"active"`
	Epoch    int64   `json:"epoch"`
	// RTO is milliseconds by phase. What didn't happen isn't in it.
	RTO map[string]int64 `json:"rto_ms"`
	// PauseMillis is the longest time between two acks.
	PauseMillis int64 `json:"pause_ms"`
	// RPORecords are records that the primary had acked and the standby hadn't got when it became
	// active; RPO are those by partition. Producers may have replayed them: then they aren't lost.
	RPORecords int64          `json:"rpo_records"`
	RPO        []PartitionRPO `json:"rpo,omitempty"`
	// Counts are what became of the records.
	Counts
	// Errors are those that applications got, by text, and how often: of promises, polls and
	// commits.
	Errors map[string]int64 `json:"errors,omitempty"`
	// Switches are the controllers' reports, Clients the clients'.
	Switches []*control.Report `json:"switches,omitempty"`
	Clients  []ClientReport    `json:"clients,omitempty"`
	// Epochs were written during the drill.
	Epochs []register.Epoch `json:"epochs,omitempty"`
	// Timeline is what happened.
	Timeline []Entry `json:"timeline"`
}

// PartitionRPO is a partition's part of the RPO.
type PartitionRPO struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Records   int64  `json:"records"`
}

// ClientReport is what a client reports of a switch.
type ClientReport struct {
	Client string `json:"client"`
	failover.ClientReport
}

// Entry is something that happened.
type Entry struct {
	// AtMillis counts from the drill's start.
	AtMillis int64  `json:"at_ms"`
	What     string `json:"what"`
}

// Err is nil where the drill has passed, else an error that says why not.
func (e *Evidence) Err() error {
	if e.Passed {
		return nil
	}
	return fmt.Errorf("drill: %s: %w", e.Scenario, errors.New(strings.Join(e.Failures, "; ")))
}

// String is the evidence as text for people.
func (e *Evidence) String() string {
	var b strings.Builder
	verdict := "passed"
	if !e.Passed {
		verdict = "FAILED"
	}
	fmt.Fprintf(&b, "drill %s: %s after %v\n", e.Scenario, verdict, millis(e.DurationMillis))
	if e.About != "" {
		fmt.Fprintf(&b, "  %s\n", e.About)
	}
	for _, f := range e.Failures {
		fmt.Fprintf(&b, "  failure: %s\n", f)
	}
	active := e.Active
	if active == "" {
		active = "nobody"
	}
	fmt.Fprintf(&b, "  expected %s; active: %s, epoch %d\n", e.Expected, active, e.Epoch)
	e.printTimes(&b)
	fmt.Fprintf(&b, "  records: %d sent, %d acked, %d stored; %d lost, %d doubled, %d reordered, %d moved, %d foreign\n",
		e.Sent, e.Acked, e.Stored, e.Lost, e.Doubled, e.Reordered, e.Moved, e.Foreign)
	fmt.Fprintf(&b, "  in doubt: %d, of which %d are stored\n", e.InDoubt, e.InDoubtStored)
	fmt.Fprintf(&b, "  consumers: %d delivered, %d of them again; %d skipped, %d phantom\n", e.Delivered, e.Redelivered, e.Skipped, e.Phantom)
	for _, x := range e.Examples {
		fmt.Fprintf(&b, "    %s\n", x)
	}
	for _, text := range sortedKeys(e.Errors) {
		fmt.Fprintf(&b, "  error, %d times: %s\n", e.Errors[text], text)
	}
	for _, r := range e.Switches {
		b.WriteString(indented(r.String()))
	}
	for _, r := range e.Clients {
		fmt.Fprintf(&b, "  %s: %s\n", r.Client, r.ClientReport)
	}
	b.WriteString("  timeline:\n")
	for _, t := range e.Timeline {
		fmt.Fprintf(&b, "    %8v  %s\n", millis(t.AtMillis), t.What)
	}
	return b.String()
}

func (e *Evidence) printTimes(b *strings.Builder) {
	if len(e.RTO) > 0 {
		b.WriteString("  RTO:")
		for _, p := range []string{PhaseClosed, PhaseOpened, PhaseFirstAck, PhaseFirstConsumed} {
			if ms, ok := e.RTO[p]; ok {
				fmt.Fprintf(b, " %s %v;", strings.ReplaceAll(p, "_", " "), millis(ms))
			}
		}
		fmt.Fprintf(b, " RPO: %d records\n", e.RPORecords)
	}
	fmt.Fprintf(b, "  longest pause between acks: %v\n", millis(e.PauseMillis))
}

// indented is text two columns to the right.
func indented(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n  ") + "\n"
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }
