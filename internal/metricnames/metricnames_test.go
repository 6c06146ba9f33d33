package metricnames

import "testing"

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name, help, kind string
		wrong            bool
	}{
		{"kafkadr_mirror_lag_seconds", "Age.", "gauge", false},
		{"kafkadr_mirror_records_total", "Records.", "counter", false},
		{"kafkadr_mirror_lag_ms", "Age.", "gauge", true},
		{"kafkadr_mirror_size_kb_total", "Size.", "counter", true},
		{"mirror_lag_seconds", "Age.", "gauge", true},
		{"kafkadr_other_lag_seconds", "Age.", "gauge", true},
		{"kafkadr_mirror_lagSeconds", "Age.", "gauge", true},
		{"kafkadr_mirror_records", "Records.", "counter", true},
		{"kafkadr_mirror_records_total", "Records.", "gauge", true},
		{"kafkadr_mirror_records_total", "Records", "counter", true},
	} {
		if got := faults(c.name, c.help, c.kind); len(got) > 0 != c.wrong {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
