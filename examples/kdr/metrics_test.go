package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/millis"
)

func TestHealthz(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMetrics(time.Minute)
		age := -time.Second
		m.status = func() backup.Status { return backup.Status{SnapshotAge: millis.Duration(age)} }
		health := func() int {
			w := httptest.NewRecorder()
			m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
			return w.Code
		}
		expect := func(want int, when string) {
			t.Helper()
			if got := health(); got != want {
				t.Errorf("%s: %d, want %d", when, got, want)
			}
		}
		expect(200, "at the start")
		time.Sleep(3*time.Minute + time.Second) //nolint:forbidigo // virtual time
		expect(503, "no snapshot for three times --every")
		age = 3 * time.Minute
		expect(200, "a young snapshot")
		age = 3*time.Minute + 1
		expect(503, "an old snapshot")
	})
}

func TestMetrics(t *testing.T) {
	m := newMetrics(time.Minute)
	m.status = func() backup.Status {
		return backup.Status{Records: 42, LagRecords: 7, SnapshotAge: millis.Duration(3 * time.Second)}
	}
	w := httptest.NewRecorder()
	m.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	body, _ := io.ReadAll(w.Result().Body)
	for _, want := range []string{"kafkadr_backup_records_total 42", "kafkadr_backup_lag_records 7", "kafkadr_backup_snapshot_age_seconds 3", "# TYPE kafkadr_backup_records_total counter"} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q in:\n%s", want, body)
		}
	}
}
