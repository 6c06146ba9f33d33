package quorum

import (
	"context"
	"errors"
	"slices"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Directories is a [register.Store] that can list the directories right below a key prefix, as a
// bucket's can.
type Directories interface {
	Directories(ctx context.Context, prefix string) ([]string, error)
}

// Scopes implements [register.Lister]: what any of the stores names that has [Directories].
func (q *Register) Scopes(ctx context.Context) ([]string, error) {
	var scopes []string
	var errs []error
	for _, s := range q.cfg.Stores {
		d, ok := s.(Directories)
		if !ok {
			continue
		}
		names, err := d.Directories(ctx, "quorum/")
		scopes, errs = append(scopes, names...), append(errs, err)
	}
	slices.Sort(scopes)
	if scopes = slices.Compact(scopes); len(scopes) > 0 {
		return scopes, nil
	}
	return nil, errors.Join(errs...)
}

var _ register.Lister = (*Register)(nil)
