package units

import (
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"0", 0, true}, {"1048576", 1 << 20, true}, {"64MiB", 64 << 20, true}, {"64 MiB", 64 << 20, true},
		{"1.5GB", 1_500_000_000, true}, {"10B", 10, true}, {"2kB", 2000, true}, {"1TiB", 1 << 40, true},
		{"", 0, false}, {"MiB", 0, false}, {"-1", 0, false}, {"64mb", 0, false}, {"NaN", 0, false}, {"1e30", 0, false}, {"12 apples", 0, false},
	} {
		got, err := ParseSize(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseSize(%q) = %d, %v; want %d, ok %v", c.text, got, err, c.want, c.ok)
		}
	}
}

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{
		{"50MiB", 50 << 20, true}, {"50MiB/s", 50 << 20, true}, {"0", 0, false}, {"fast", 0, false},
	} {
		got, err := ParseRate(c.text)
		if got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseRate(%q) = %d, %v; want %d, ok %v", c.text, got, err, c.want, c.ok)
		}
	}
}

func TestParseShare(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
		ok   bool
	}{
		{"5%", 0.05, true}, {"0.05", 0.05, true}, {"100%", 1, true}, {"1", 1, true},
		{"0", 0, false}, {"0%", 0, false}, {"101%", 0, false}, {"5", 0, false}, {"NaN", 0, false}, {"", 0, false},
	} {
		got, err := ParseShare(c.text)
		if c.ok && got != c.want || (err == nil) != c.ok {
			t.Errorf("ParseShare(%q) = %v, %v; want %v, ok %v", c.text, got, err, c.want, c.ok)
		}
	}
}

func TestParseTimes(t *testing.T) {
	if d, err := ParseDuration("90s"); err != nil || d != 90*time.Second {
		t.Errorf("ParseDuration: %v, %v", d, err)
	}
	for _, text := range []string{"", "0s", "-1s", "10"} {
		if _, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q): no error", text)
		}
	}
	if _, err := ParseTime("2026-01-31T09:30:00.5+02:00"); err != nil {
		t.Error(err)
	}
	if _, err := ParseTime("yesterday"); err == nil {
		t.Error("ParseTime(yesterday): no error")
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 64 << 20: "64.0 MiB", 5 << 50: "5120.0 TiB"} {
		if got := Size(bytes); got != want {
			t.Errorf("Size(%d) = %q, want %q", bytes, got, want)
		}
	}
}
