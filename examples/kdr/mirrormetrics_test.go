package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/mirror"
)

// TestMirrorMetrics: what a real mirror says is served.
func TestMirrorMetrics(t *testing.T) {
	from, to, records := twoFakes(t, 200)
	m := start(t, "mirror", "--from", from.brokers(), "--to", to.Addrs()[0], "--heartbeat", "100ms", "--group-interval", "200ms", "--metrics", "127.0.0.1:0")
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if line := metricsLine.FindStringSubmatch(m.stderr.String()); line == nil {
			return errors.Join(errors.New("metrics aren't served"), m.alive())
		}
		return nil
	})
	url := "http://" + m.metricsAddr(t)
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		resp, err := http.Get(url + "/metrics")
		if err != nil {
			return errors.Join(err, m.alive())
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		for _, want := range []string{
			fmt.Sprintf("kafkadr_mirror_info{flow=\"mirror\",source_cluster=%q,target_cluster=%q} 1\n", from.ID(), to.ID()),
			"kafkadr_mirror_topic_records_total{flow=\"mirror\",topic=\"orders\"} ",
			"kafkadr_mirror_partition_position_offset{flow=\"mirror\",partition=\"0\",topic=\"orders\"} ", "kafkadr_mirror_lag_records{flow=\"mirror\"} 0\n",
			"kafkadr_mirror_heartbeat_latency_seconds{flow=\"mirror\"} ", "kafkadr_mirror_group_sync_age_seconds{flow=\"mirror\"} ", "kafkadr_mirror_groups{flow=\"mirror\"} ",
		} {
			if !strings.Contains(string(body), want) {
				err = errors.Join(err, fmt.Errorf("no %q in\n%s", want, body))
			}
		}
		var got int
		if _, rest, ok := strings.Cut(string(body), "\nkafkadr_mirror_records_total{flow=\"mirror\"} "); ok {
			_, _ = fmt.Sscan(rest, &got)
		}
		if got < records { // heartbeats come on top
			err = errors.Join(err, fmt.Errorf("%d of %d records", got, records))
		}
		return err
	})
	m.stop(t, syscall.SIGTERM).want(t, 130)
}

// stoppedMirror has a status with so many stopped partitions.
type stoppedMirror int

func (n stoppedMirror) Status() mirror.Status {
	return mirror.Status{Totals: mirror.Totals{Partitions: 8, Stopped: int(n)}}
}

func TestMirrorHealth(t *testing.T) {
	for stopped, want := range map[stoppedMirror]int{0: http.StatusOK, 1: http.StatusServiceUnavailable} {
		w := httptest.NewRecorder()
		mirrorHandler(stopped).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", nil))
		if w.Code != want {
			t.Errorf("%d partitions have stopped: %d, want %d", stopped, w.Code, want)
		}
	}
}
