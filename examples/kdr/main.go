// Command kdr backs Kafka clusters up and restores them: the reference
// program of the packages beneath github.com/kafkadr/kafkadr.
//
// It holds flags, progress and printing; every command is a few calls of the
// library, in the file of its name. Results go to standard output, all else
// to standard error. Exit codes: 0 done, 1 failed or incomplete, 2 wrong usage
// or configuration, 3 damage found, 4 refused, 130 interrupted.
package main

import (
	"context"
	"os"
)

func main() {
	stdout := os.Stdout
	os.Stdout = os.Stderr // a store's driver prints warnings there: results stay alone
	stderr := newScreen(os.Stderr)
	ctx, stop := withSignals(context.Background(), os.Exit, stderr)
	code := execute(ctx, os.Args[1:], stdout, stderr, os.Getenv)
	stop()
	os.Exit(code)
}
