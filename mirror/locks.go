package mirror

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kadm"
)

func (e *engine) newLocks() locks { return noLocks{} }

type noLocks struct{}

func (noLocks) Claim(context.Context, ...kadm.TopicID) (bool, error) { return false, nil }
func (noLocks) Held(context.Context, kadm.TopicID) error             { return nil }
func (noLocks) Run(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

var errTakenOver = errors.New("taken over")

func isTakenOver(err error) bool { return errors.Is(err, errTakenOver) }
