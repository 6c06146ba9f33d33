package failoverprom

import (
	_ "embed" // rules.yml
	"strings"
)

//go:embed rules.yml
var rules string

// Rules are alert rules for what the collectors give, as a Prometheus rule file. Thresholds are in
// their expressions.
func Rules() string { return strings.Clone(rules) }
