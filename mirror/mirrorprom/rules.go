package mirrorprom

import (
	_ "embed" // rules.yml
	"strings"
)

//go:embed rules.yml
var rules string

// Rules are alert rules for what a [Collector] gives, as a Prometheus rule file. Thresholds are in
// their expressions.
func Rules() string { return strings.Clone(rules) }
