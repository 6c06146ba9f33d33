// Package units reads and prints the sizes, rates, shares and counts of kdr's
// flags and messages.
package units

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// multiples are the suffixes of sizes, longest first.
var multiples = []struct {
	suffix string
	factor float64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"B", 1},
}

// ParseSize reads a size in bytes: 1048576, 64MiB, 1.5GB. Suffixes are KiB,
// MiB, GiB, TiB (powers of 1024), kB, MB, GB, TB (of 1000) and B.
func ParseSize(text string) (int64, error) {
	number, factor := text, 1.0
	for _, m := range multiples {
		if n, ok := strings.CutSuffix(text, m.suffix); ok {
			number, factor = strings.TrimSpace(n), m.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) || v < 0 || v*factor >= math.MaxInt64 {
		return 0, fmt.Errorf("want a size such as 64MiB, got %q", text)
	}
	return int64(v * factor), nil
}

// ParseRate reads a rate in bytes a second: a size, with or without /s.
func ParseRate(text string) (int64, error) {
	v, err := ParseSize(strings.TrimSuffix(text, "/s"))
	if err != nil || v == 0 {
		return 0, fmt.Errorf("want a rate such as 50MiB (a second), got %q", text)
	}
	return v, nil
}

// ParseShare reads a share, 5% or 0.05, above 0 and at most 1.
func ParseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || math.IsNaN(v) || v <= 0 || v > 1 {
		return 0, fmt.Errorf("want a share such as 5%% or 0.05, got %q", text)
	}
	return v, nil
}

// ParseDuration reads a duration above zero: 30s, 1m, 500ms.
func ParseDuration(text string) (time.Duration, error) {
	v, err := time.ParseDuration(text)
	if err != nil || v <= 0 {
		return 0, fmt.Errorf("want a duration such as 30s, got %q", text)
	}
	return v, nil
}

// ParseTime reads a time as RFC 3339 has it.
func ParseTime(text string) (time.Time, error) {
	v, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("want a time as RFC 3339 has it, such as 2026-01-31T09:30:00Z, got %q", text)
	}
	return v, nil
}

// Size prints bytes for a reader: 1.5 MiB.
func Size(bytes int64) string {
	v, unit := float64(bytes), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 {
			break
		}
		v, unit = v/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", bytes)
	}
	return fmt.Sprintf("%.1f %s", v, unit)
}
