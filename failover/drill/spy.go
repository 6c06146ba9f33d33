package drill

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover/register"
)

// errRegister is what everybody gets from a register that is killed.
var errRegister = errors.New("drill: the register is unreachable")

// spy is a register that tells of the epochs that are written, and that faults can hit. It is an
// [Injector] as well. An epoch whose creation failed, and that is there all the same, is told of
// when it is first read.
type spy struct {
	register.Register
	created func(register.Epoch)

	telling sync.Mutex
	told    int64 // the last epoch that was told of, or needn't be

	mu     sync.Mutex
	faults []Fault
	change chan struct{}
}

func newSpy(r register.Register, created func(register.Epoch)) *spy {
	return &spy{Register: r, created: created, change: make(chan struct{})}
}

func (s *spy) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := s.await(ctx); err != nil {
		return register.Epoch{}, err
	}
	e, err := s.Register.Get(ctx, scope, number)
	if err == nil {
		s.tell(ctx, e)
	}
	return e, err
}

func (s *spy) Create(ctx context.Context, e register.Epoch) error {
	if err := s.await(ctx); err != nil {
		return err
	}
	err := s.Register.Create(ctx, e)
	if err == nil {
		s.tell(ctx, e)
	}
	return err
}

// begin says which epoch the drill begins in.
func (s *spy) begin(number int64) {
	s.telling.Lock()
	defer s.telling.Unlock()
	s.told = number
}

// tell tells of an epoch that is there, and of those before it.
func (s *spy) tell(ctx context.Context, e register.Epoch) {
	s.telling.Lock()
	defer s.telling.Unlock()
	for s.told < e.Number {
		next := e
		if s.told+1 < e.Number {
			var err error
			if next, err = s.Register.Get(ctx, e.Scope, s.told+1); err != nil {
				return // until it is read again
			}
		}
		s.told = next.Number
		s.created(next)
	}
}

// await returns when a request may go on.
func (s *spy) await(ctx context.Context) error {
	for {
		s.mu.Lock()
		change := s.change
		var latency time.Duration
		var killed, swallowed bool
		for _, f := range s.faults {
			killed = killed || f.Kind == Kill || f.Kind == Flap
			swallowed = swallowed || f.Kind == Blackhole
			latency += time.Duration(f.Latency)
		}
		s.mu.Unlock()
		switch {
		case killed:
			return errRegister
		case !swallowed:
			return pause(ctx, latency)
		}
		select {
		case <-change:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *spy) Inject(_ context.Context, f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, f)
	return nil
}

func (s *spy) Heal(_ context.Context, f Fault) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.faults, f.equal); i >= 0 {
		s.faults = slices.Delete(s.faults, i, i+1)
		close(s.change)
		s.change = make(chan struct{})
	}
	return nil
}
