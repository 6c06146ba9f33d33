package instep

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/kafkadr/kafkadr/internal/quote"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// errBudget is the cause of a Sync that ran out of time.
var errBudget = errors.New("no time left in this round")

// budget bounds one Sync.
func (s Sides) budget(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, s.Budget, errBudget)
}

// retry does op again while its error may go away by itself and there is time.
func retry(ctx context.Context, op func() error) error {
	for n := 1; ; n++ {
		err := op()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return overtaken(ctx, err)
		case !rawkafka.Retriable(err) && !kerr.IsRetriable(err) || rawkafka.Unknown(err):
			return err
		}
		if rawkafka.Sleep(ctx, rawkafka.Backoff(n)) != nil {
			return overtaken(ctx, err)
		}
	}
}

// overtaken is the error of an operation whose context ended: the caller's own end, or the last
// failure, which says more than that time ran out.
func overtaken(ctx context.Context, last error) error {
	if cause := context.Cause(ctx); !errors.Is(cause, errBudget) {
		return cause
	}
	if errors.Is(last, context.DeadlineExceeded) || errors.Is(last, errBudget) {
		return errBudget
	}
	return fmt.Errorf("%w: %w", errBudget, last)
}

// ended is the caller's context's error, nil where only the budget is used up.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if cause := context.Cause(ctx); !errors.Is(cause, errBudget) {
		return cause
	}
	return nil
}

// answer is an error code with the broker's message.
func answer(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err != nil && message != nil && *message != "" {
		return fmt.Errorf("%w (%s)", err, *message)
	}
	return err
}

// some is a list for a human: the first few, and how many more.
func some(names []string) string {
	const most = 10
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// quoted are names as they are printed.
func quoted(names []string) []string {
	printed := make([]string, len(names))
	for i, name := range names {
		printed[i] = quote.Name(name)
	}
	return printed
}
