package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// value is a flag of any type. Setting it never fails: what is wrong with it
// is one of the faults that are reported together.
type value[T any] struct {
	app      *app
	name     string
	dst      *T
	parse    func(string) (T, error)
	text     string
	typeName string
}

func (v *value[T]) String() string { return v.text }
func (v *value[T]) Type() string   { return v.typeName }

func (v *value[T]) Set(text string) error {
	parsed, err := v.parse(text)
	if err != nil {
		v.app.fault("--%s: %v", v.name, err)
		return nil
	}
	*v.dst, v.text = parsed, text
	return nil
}

// addFlag adds a flag that parse reads; *dst holds its default, which
// defaultText shows.
func addFlag[T any](a *app, fs *pflag.FlagSet, dst *T, name, typeName, defaultText, usage string, parse func(string) (T, error)) {
	fs.Var(&value[T]{app: a, name: name, dst: dst, parse: parse, text: defaultText, typeName: typeName}, name, usage)
}

// parseInt reads a whole number from low to high.
func parseInt(low, high int64) func(string) (int64, error) {
	return func(text string) (int64, error) {
		v, err := strconv.ParseInt(text, 10, 64)
		if err != nil || v < low || v > high {
			return 0, fmt.Errorf("want a whole number from %d to %d, got %q", low, high, text)
		}
		return v, nil
	}
}

// parseRename reads OLD=NEW.
func parseRename(text string) ([2]string, error) {
	from, to, ok := strings.Cut(text, "=")
	if !ok || from == "" || to == "" {
		return [2]string{}, fmt.Errorf("want OLD=NEW, got %q", text)
	}
	return [2]string{from, to}, nil
}

// addRename adds the repeatable flag --rename.
func addRename(a *app, fs *pflag.FlagSet, dst *map[string]string) {
	var last [2]string
	addFlag(a, fs, &last, "rename", "OLD=NEW", "", "restore the topic OLD as NEW (repeatable)", func(text string) ([2]string, error) {
		pair, err := parseRename(text)
		if err != nil {
			return pair, err
		}
		if *dst == nil {
			*dst = make(map[string]string)
		}
		if _, twice := (*dst)[pair[0]]; twice {
			return pair, fmt.Errorf("%s is renamed twice", pair[0])
		}
		(*dst)[pair[0]] = pair[1]
		return pair, nil
	})
}

func registerSnapshot(fs *pflag.FlagSet, id *string) {
	fs.StringVar(id, "snapshot", "", "the snapshot's ID (default the latest that is complete)")
}

func registerCluster(fs *pflag.FlagSet, cluster *string) {
	fs.StringVar(cluster, "cluster", "", "the source cluster's ID, where the archive holds more than one")
}

// first is the first argument, or none.
func first(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}
