package millis_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/millis"
)

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0",
		3 * time.Second:               "3000",
		1234567 * time.Nanosecond:     "1.234",
		-1:                            "-1",
		-2500 * time.Microsecond:      "-3",
		9000 * time.Hour:              "32400000000",
		999 * time.Nanosecond:         "0",
		time.Hour + time.Microsecond:  "3600000.001",
		365 * 100 * 24 * time.Hour:    "3153600000000",
		250 * time.Microsecond * 1001: "250.25",
	} {
		raw, err := json.Marshal(millis.Duration(d))
		if err != nil || string(raw) != want {
			t.Errorf("%v: %s, %v, want %s", d, raw, err, want)
		}
		var back millis.Duration
		if err := json.Unmarshal(raw, &back); err != nil || d >= 0 && time.Duration(back) != d.Truncate(time.Microsecond) {
			t.Errorf("%v: back %v, %v", d, back, err)
		}
	}
	var d millis.Duration
	for _, raw := range []string{`"3s"`, `1e300`, `-1e300`, `{}`} {
		if err := json.Unmarshal([]byte(raw), &d); err == nil {
			t.Errorf("%s: %v", raw, d)
		}
	}
}

func Example() {
	raw, err := json.Marshal(struct {
		Took millis.Duration `json:"took_ms"`
	}{millis.Duration(1500 * time.Microsecond)})
	fmt.Println(string(raw), err)
	// Output: {"took_ms":1.5} <nil>
}
