package main

import (
	"regexp"
	"strings"

	"github.com/spf13/pflag"
)

// topicFlags select topics.
type topicFlags struct {
	topics, exclude []string
}

func (f *topicFlags) register(fs *pflag.FlagSet) {
	fs.StringArrayVar(&f.topics, "topics", nil, "a topic to take: its name, which must exist and is that topic's alone, or a regular expression for whole names (repeatable; default all but those that are the cluster's own)")
	fs.StringArrayVar(&f.exclude, "exclude", nil, "a topic to leave out: its name, or a regular expression for whole names (repeatable)")
}

func (f *topicFlags) check(a *app) {
	checkExpressions(a, "--topics", f.topics)
	checkExpressions(a, "--exclude", f.exclude)
}

func checkExpressions(a *app, flag string, texts []string) {
	for _, text := range texts {
		if text == "" {
			a.fault("%s: an empty expression matches no topic", flag)
		} else if _, err := regexp.Compile("^(?:" + text + ")$"); err != nil {
			if _, err = regexp.Compile(text); err == nil { // broken by anchoring alone
				a.fault("%s: %q is not a regular expression", flag, text)
				continue
			}
			a.fault("%s: %v", flag, err)
		} else if strings.Contains(text, ",") && !strings.Contains(text, "{") {
			a.fault("%s: %q matches no topic: give the flag once for each", flag, text)
		}
	}
}
