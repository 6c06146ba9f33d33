package drill

import (
	"context"
	"errors"
	"fmt"
)

// Injector makes faults happen. Who owns the clusters brings one: [Network] breaks the connections
// of those who dial through it; package drilltest has one for in-process clusters. Faults on the
// [Register] never reach it, [Run] has them itself.
type Injector interface {
	// Inject begins a fault and returns when it works. Of [Flap] it is called for each time that
	// the cluster goes away.
	Inject(ctx context.Context, f Fault) error
	// Heal ends a fault that was injected, and returns when what was hit can be used again, or will
	// be by itself. It is called for every fault, also where the drill has failed.
	Heal(ctx context.Context, f Fault) error
}

// ByPlace is an Injector that hands faults to others by where they are. A fault elsewhere is an
// error.
type ByPlace map[Place]Injector

// Inject hands the fault on.
func (b ByPlace) Inject(ctx context.Context, f Fault) error {
	if b[f.On] == nil {
		return fmt.Errorf("drill: %s: %w", f, errors.ErrUnsupported)
	}
	return b[f.On].Inject(ctx, f)
}

// Heal hands the fault on.
func (b ByPlace) Heal(ctx context.Context, f Fault) error {
	if b[f.On] == nil {
		return nil
	}
	return b[f.On].Heal(ctx, f)
}
