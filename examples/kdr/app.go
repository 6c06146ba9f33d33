package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// app is what every command shares: streams, settings, and the faults of the
// command line that were found so far.
type app struct {
	stdout io.Writer
	stderr *screen
	getenv func(string) string
	faults []string

	json, verbose bool
	log           *slog.Logger
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, stdout io.Writer, stderr *screen, getenv func(string) string) int {
	a := &app{stdout: stdout, stderr: stderr, getenv: getenv}
	root := newRoot(a)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	stderr.clear()
	if err != nil {
		say(stderr, "kdr: %s", message(ctx, err))
	}
	return exitCode(ctx, err)
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "kdr",
		Short: "Back Kafka clusters up, restore and mirror them, record for record and offset for offset",
		Long: `kdr backs Kafka clusters up, restores and mirrors them, record for record and
offset for offset. Results go to standard output, all else to standard error.

Exit codes: 0 done; 1 failed, or done but incomplete; 2 wrong usage or
configuration; 3 damage found; 4 refused by a plan or a check; 130 interrupted.`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		Args:              cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if args = a.arguments(cmd, args, len(args)); len(args) > 0 {
				a.fault("unknown command %q: see kdr help", args[0])
			}
			if err := a.usage(); err != nil {
				return err
			}
			return cmd.Help()
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		a.fault("%v", err)
		return a.usage()
	})
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON document on standard output")
	root.PersistentFlags().BoolVarP(&a.verbose, "verbose", "v", false, "log retries and other details")
	root.SetHelpCommand(newHelp(a))
	root.AddCommand(newBackup(a), newList(a), newShow(a), newVerify(a), newCat(a), newRestore(a), newTranslate(a), newMirror(a), newStatus(a), newGroups(a), newInitScope(a), newFailover(a), newFailback(a), newController(a), newDrill(a), newExport(a), newSweep(a))
	for _, cmd := range append(root.Commands(), root) {
		// The parser would stop at the first unknown flag; this way all are named.
		cmd.FParseErrWhitelist.UnknownFlagsHandling = pflag.PassUnknownFlagToArgs
	}
	return root
}

func newHelp(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Help about any command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				a.fault("unknown command %q: see kdr help", strings.Join(args, " "))
				return a.usage()
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// run wraps a command's work: faults of flags and of check are reported all at
// once, before any I/O; then do runs.
func (a *app) run(maxArgs int, check func(args []string), do func(ctx context.Context) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		args = a.arguments(cmd, args, maxArgs)
		check(args)
		if err := a.usage(); err != nil {
			return err
		}
		a.log = a.newLogger()
		return do(cmd.Context())
	}
}

// arguments notes flags that the command doesn't have, which the parser hands
// on as arguments, and arguments beyond maxArgs.
func (a *app) arguments(cmd *cobra.Command, args []string, maxArgs int) []string {
	var real []string
	dash := cmd.ArgsLenAtDash()
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") && len(arg) > 1 && (dash < 0 || i < dash) {
			name, _, _ := strings.Cut(arg, "=")
			a.fault("unknown flag %s", name)
			continue
		}
		real = append(real, arg)
	}
	if len(real) > maxArgs {
		if len(a.faults) == 0 { // else it may be an unknown flag's value
			a.fault("unexpected argument %q", real[maxArgs])
		}
		real = real[:maxArgs]
	}
	return real
}

func (a *app) fault(format string, args ...any) {
	a.faults = append(a.faults, fmt.Sprintf(format, args...))
}

func (a *app) newLogger() *slog.Logger {
	level := slog.LevelInfo
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: plainError}))
}

// plainError logs an error's text alone, where some print the stack beside it.
func plainError(_ []string, attr slog.Attr) slog.Attr {
	if err, ok := attr.Value.Any().(error); ok {
		attr.Value = slog.StringValue(oneLine(err.Error()))
	}
	return attr
}

// usage is an error that names all faults so far, or nil.
func (a *app) usage() error {
	if len(a.faults) == 0 {
		return nil
	}
	return &usageError{faults: a.faults}
}
