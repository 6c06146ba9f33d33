// Command drill makes disasters on purpose, inside this process: two Kafka
// clusters with a mirror between, applications under load, and a fault. It
// prints what the disaster cost, and exits non-zero where it cost too much.
//
//	go run ./examples/drill                         # every built-in scenario
//	go run ./examples/drill -scenario mirror_behind # one of them
//	go run ./examples/drill -file scenario.json     # one's own
//	go run ./examples/drill -list
//
// With -json the evidence is one JSON document for each drill.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "drill:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, args []string) error {
	flags := flag.NewFlagSet("drill", flag.ContinueOnError)
	name := flags.String("scenario", "", "the name of a built-in scenario; default all")
	file := flags.String("file", "", "a scenario as JSON, instead of a built-in one")
	list := flags.Bool("list", false, "list the built-in scenarios")
	asJSON := flags.Bool("json", false, "print the evidence as JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	scenarios, err := choose(*name, *file)
	if err != nil {
		return err
	}
	if *list {
		for _, s := range scenarios {
			fmt.Fprintf(out, "%-22s %s\n", s.Name, s.About)
		}
		return nil
	}
	var failed []error
	for _, s := range scenarios {
		evidence, err := drilltest.Drill(ctx, s, drilltest.Options{})
		if err != nil {
			return err
		}
		if err := show(out, evidence, *asJSON); err != nil {
			return err
		}
		failed = append(failed, evidence.Err())
	}
	return errors.Join(failed...)
}

// choose is one scenario, or all.
func choose(name, file string) ([]drill.Scenario, error) {
	switch {
	case file != "":
		text, err := os.ReadFile(file) //nolint:gosec // it is the user's
		if err != nil {
			return nil, err
		}
		s, err := drill.Parse(text)
		return []drill.Scenario{s}, err
	case name != "":
		s, ok := drill.Find(name)
		if !ok {
			return nil, fmt.Errorf("no scenario %q: see -list", name)
		}
		return []drill.Scenario{s}, nil
	}
	return drill.Scenarios(), nil
}

func show(out io.Writer, e *drill.Evidence, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(e)
	}
	_, err := fmt.Fprintln(out, e)
	return err
}
