package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const (
	// stopWithin is how long a command may take to end cleanly after the
	// first signal. What isn't committed by then is redone next time.
	stopWithin = 9500 * time.Millisecond
	// commitWithin is what a follower gets of it for its last commit.
	commitWithin = 8 * time.Second
)

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// withSignals returns a context that ends at the first SIGINT or SIGTERM, for
// a clean stop. A second signal, or a stop that takes too long, ends the
// process at once. The returned func gives the signals back.
func withSignals(parent context.Context, exit func(int), stderr io.Writer) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-done:
			return
		case s := <-signals:
			say(stderr, "kdr: %v: stopping; once more stops at once", s)
			cancel(errInterrupted)
		}
		select {
		case <-done:
			return
		case <-signals:
		case <-time.After(stopWithin):
			say(stderr, "kdr: did not stop in time")
		}
		exit(exitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); close(done) }
}

// say writes a line to standard error, where a failure to write has nowhere to go.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format+"\n", args...)
}
