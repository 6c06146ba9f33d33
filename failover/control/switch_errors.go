package control

import (
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/internal/fault"
)

// ErrVeto is what a [Fencer] or [Refiller] wraps to stop a switch. What other steps' errors are
// wrapped in matches it too.
var ErrVeto = errors.New("failover: vetoed")

// RefusedError is a plan that has conflicts. Nothing was changed. It is the same type in all jobs.
type RefusedError = fault.RefusedError

// VetoError is a step that stopped a switch. The [Report] says what became of it: nothing was
// changed, or it was given up, or the scope stays closed. It matches [ErrVeto].
type VetoError struct {
	Step Step
	Err  error
}

func (e *VetoError) Error() string { return fmt.Sprintf("failover: %s: %v", e.Step, e.Err) }

// Unwrap is the cause, and [ErrVeto].
func (e *VetoError) Unwrap() []error { return []error{e.Err, ErrVeto} }

// ClosedError says that a switch has stopped in the middle: the closing epoch stands, no client
// writes anywhere. Err is why it wasn't finished, GiveUp why it wasn't given up either. Planning
// and running it again finishes it (to Epoch.Target) or gives it up (to Epoch.From), by whichever
// controller.
type ClosedError struct {
	Epoch       register.Epoch
	Err, GiveUp error
}

func (e *ClosedError) Error() string {
	text := fmt.Sprintf("failover: scope %s stays closed at epoch %d, between %s and %s: %v", e.Epoch.Scope, e.Epoch.Number, e.Epoch.From, e.Epoch.Target, e.Err)
	if e.GiveUp != nil {
		text += fmt.Sprintf("; giving up: %v", e.GiveUp)
	}
	return text
}

// Unwrap are the causes.
func (e *ClosedError) Unwrap() []error {
	if e.GiveUp == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.GiveUp}
}

// OvertakenError says that somebody else has written the epoch that was to be written, which holds:
// another switch has begun, or another controller has finished this one or given it up.
type OvertakenError struct{ Epoch register.Epoch }

func (e *OvertakenError) Error() string {
	return fmt.Sprintf("failover: scope %s: %s was first with epoch %d", e.Epoch.Scope, e.Epoch.By, e.Epoch.Number)
}
