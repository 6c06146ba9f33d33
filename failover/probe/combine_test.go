package probe

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func says(k Kind) Probe {
	return func(_ context.Context, t Target) error {
		if k == "" {
			return nil
		}
		return &Fault{Kind: k, Cluster: t.Name, Probe: "test"}
	}
}

// hangs is over when its context is, and not later.
func hangs(ctx context.Context, t Target) error {
	<-ctx.Done()
	return &Fault{Kind: Timeout, Cluster: t.Name, Probe: "test", Err: ctx.Err()}
}

func TestCombined(t *testing.T) {
	own := func(context.Context, Target) error { return errors.New("own") }
	tests := []struct {
		name       string
		p          Probe
		kind       Kind
		fail, down bool
	}{
		{"all well", AllOf(says(""), says("")), "", false, false},
		{"all of none", AllOf(), "", false, false},
		{"one of all", AllOf(says(""), says(Unreachable)), Unreachable, true, true},
		{"one of all can't tell", AllOf(says(Denied), says("")), Denied, true, false},
		{"one down, one can't tell", AllOf(says(Auth), says(Offline)), Auth, true, true},
		{"any well", AnyOf(says(Unreachable), says("")), "", false, false},
		{"any that can't tell", AnyOf(says(Unreachable), says(Auth)), Auth, true, false},
		{"none of any", AnyOf(says(Unreachable), says(Timeout)), Timeout, true, true},
		{"any within all", AllOf(says(""), AnyOf(says(Auth), says(Unreachable))), Auth, true, false},
		{"any of none", AnyOf(), Config, true, false},
		{"own", own, "", true, true},
		{"own, wrapped", AllOf(own, says(Auth)), Auth, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.p(t.Context(), Target{Name: "primary"})
			got := []any{KindOf(err), err != nil, SaysDown(err)}
			if d := cmp.Diff([]any{tt.kind, tt.fail, tt.down}, got); d != "" {
				t.Errorf("%v: kind, failing, down (-want +got):\n%s", err, d)
			}
		})
	}
	if SaysDown(fmt.Errorf("wrapped: %w", &Fault{Kind: Auth})) || !SaysDown(fmt.Errorf("wrapped: %w", &Fault{Kind: Slow})) {
		t.Error("a fault that is wrapped isn't found")
	}
}

func TestPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		if err := AnyOf(hangs, says(""), hangs)(t.Context(), Target{}); err != nil || time.Since(begin) != 0 {
			t.Errorf("any: %v after %v", err, time.Since(begin))
		}
		err := AllOf(WithTimeout(hangs, time.Second), WithTimeout(hangs, 2*time.Second))(t.Context(), Target{})
		if KindOf(err) != Timeout || time.Since(begin) != 2*time.Second {
			t.Errorf("all: %v after %v", err, time.Since(begin))
		}
		own := func(ctx context.Context, _ Target) error { <-ctx.Done(); return ctx.Err() }
		if err := WithTimeout(own, time.Second)(t.Context(), Target{Name: "primary"}); KindOf(err) != Timeout || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("own: %v", err)
		}
	})
}
