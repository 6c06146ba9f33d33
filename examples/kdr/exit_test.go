package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

func TestExitCode(t *testing.T) {
	plain := t.Context()
	interrupted, cancel := context.WithCancelCause(plain)
	cancel(errInterrupted)
	for _, c := range []struct {
		name string
		ctx  context.Context
		err  error
		want int
	}{
		{"done", plain, nil, 0},
		{"done although interrupted", interrupted, nil, 0},
		{"failed", plain, errors.New("x"), 1},
		{"incomplete", plain, &backup.PartialError{}, 1},
		{"no snapshot", plain, storage.ErrNoSnapshot, 1},
		{"usage", plain, &usageError{faults: []string{"x"}}, 2},
		{"configuration", plain, fmt.Errorf("x: %w", &backup.ConfigError{}), 2},
		{"problems", plain, &damageError{"x"}, 3},
		{"damaged object", plain, fmt.Errorf("restore: %w", &storage.DamageError{Err: errors.New("x")}), 3},
		{"damaged segment", plain, fmt.Errorf("restore: %w", &segment.DamageError{}), 3},
		{"conflict", plain, &restore.RefusedError{}, 4},
		{"fenced", plain, fmt.Errorf("backup: %w", &storage.FencedError{}), 4},
		{"unsafe store", plain, fmt.Errorf("open: %w", storage.ErrNotCreateOnly), 4},
		{"interrupted", interrupted, context.Canceled, 130},
		{"failed while stopping", interrupted, errors.New("x"), 130},
	} {
		if got := exitCode(c.ctx, c.err); got != c.want {
			t.Errorf("%s: exit code %d, want %d", c.name, got, c.want)
		}
	}
}
