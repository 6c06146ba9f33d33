package main

import (
	"context"
	"errors"
	"strings"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// Exit codes; scripts rely on them.
const (
	exitDone        = 0
	exitFailed      = 1   // or done but incomplete
	exitUsage       = 2   // wrong usage or configuration, found before any I/O
	exitDamage      = 3   // verification found damage
	exitRefused     = 4   // by a plan or a check: a conflict, a budget, a fence
	exitInterrupted = 130 // by SIGINT or SIGTERM
)

// usageError is a wrong command line or configuration: all faults at once.
type usageError struct{ faults []string }

func (e *usageError) Error() string { return strings.Join(e.faults, "; ") }

// damageError ends a command that found damage and has printed it.
type damageError struct{ text string }

func (e *damageError) Error() string { return e.text }

// refusedError ends a command whose printed plan has conflicts.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// exitCode is the process's exit code for a command's error.
func exitCode(ctx context.Context, err error) int {
	var usage *usageError
	var config *backup.ConfigError // the same type in all jobs
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case isDamage(err):
		return exitDamage
	case isRefused(err):
		return exitRefused
	case errors.Is(context.Cause(ctx), errInterrupted):
		return exitInterrupted
	}
	return exitFailed
}

// isDamage says whether what was read isn't what was written.
func isDamage(err error) bool {
	var printed *damageError
	var object *storage.DamageError
	var part *segment.DamageError
	return errors.As(err, &printed) || errors.As(err, &object) || errors.As(err, &part)
}

func isRefused(err error) bool {
	var printed *refusedError
	var plan *restore.RefusedError // the same type in all jobs
	var cluster *offsets.ClusterError
	return errors.As(err, &printed) || errors.As(err, &plan) || errors.As(err, &cluster) ||
		errors.Is(err, storage.ErrFenced) || errors.Is(err, storage.ErrNotCreateOnly)
}

// message is an error as the last line on standard error.
func message(ctx context.Context, err error) string {
	var usage *usageError
	switch {
	case errors.As(err, &usage) && len(usage.faults) > 1:
		return "these are wrong:\n  " + strings.Join(usage.faults, "\n  ")
	case errors.Is(context.Cause(ctx), errInterrupted) && (errors.Is(err, context.Canceled) || errors.Is(err, errInterrupted)):
		return errInterrupted.Error()
	}
	return oneLine(err.Error())
}

// oneLine joins the lines of a joined error.
func oneLine(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
}
