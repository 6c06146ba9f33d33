package mirrorprom

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/internal/millis"
	"github.com/kafkadr/kafkadr/mirror"
)

// fixed is a Mirror, and a Backup, that stands still.
type fixed struct{ s mirror.Status }

func (f *fixed) Status() mirror.Status { return f.s }

type fixedBackup backup.Status

func (f *fixedBackup) Status() backup.Status { return backup.Status(*f) }

// base is when the mirrors of the tests were started.
func base() time.Time { return time.Unix(0, 0).UTC() }

// healthy is the status of a mirror that has nothing to complain about.
func healthy() mirror.Status {
	s := mirror.Status{
		Flow: "mirror", SourceCluster: "source-id", TargetCluster: "target-id", Started: base(), Seconds: 60,
		Heartbeat: mirror.HeartbeatStatus{Enabled: true, Count: 6, LatencyMillis: 7.5, AgeMillis: 900},
		Groups:    mirror.GroupStatus{AgeMillis: 4500, Groups: 3, Offsets: 12, Committed: 2},
		Retries:   1,
		Events:    map[mirror.EventKind]int64{},
	}
	for _, name := range []string{"orders", "payments"} {
		t := mirror.TopicStatus{Source: name, Target: name, Totals: mirror.Totals{Partitions: 2, Copying: 2, Records: 200, Bytes: 4000}}
		for p := range int32(2) {
			t.Detail = append(t.Detail, mirror.PartitionStatus{
				Partition: p, State: mirror.Copying, Position: 100, Durable: 100, SourceLSO: 100, SourceHighWatermark: 100, Records: 100, Bytes: 2000,
			})
		}
		s.Topics = append(s.Topics, t)
	}
	s.Totals = mirror.Totals{Partitions: 4, Copying: 4, Records: 400, Bytes: 8000}
	return s
}

// stop stops orders/0 by an event.
func stop(s *mirror.Status, kind mirror.EventKind, at time.Time) {
	ev := mirror.Event{Time: at, Kind: kind, Topic: "orders", Offset: 100, Other: 200, Policy: mirror.Stop}
	t := &s.Topics[0]
	t.Detail[0].State, t.Detail[0].Event = mirror.Stopped, &ev
	t.Copying, t.Stopped = 1, 1
	s.Copying, s.Stopped = 3, 1
	happened(s, ev)
}

func happened(s *mirror.Status, ev mirror.Event) {
	s.Events[ev.Kind]++
	s.Recent = append(s.Recent, ev)
}

func gather(t *testing.T, c prometheus.Collector) map[string]*dto.MetricFamily {
	t.Helper()
	r := prometheus.NewPedanticRegistry() // holds that Describe and Collect agree
	if err := r.Register(c); err != nil {
		t.Fatal(err)
	}
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]*dto.MetricFamily)
	for _, f := range all {
		byName[f.GetName()] = f
	}
	return byName
}

// TestGolden holds names, types, help and values of all series.
func TestGolden(t *testing.T) {
	s := healthy()
	s.LeftOut = map[string]string{"B.orders": "a copy that came from the target"}
	s.LagRecords, s.LagMillis, s.LSOLag = 40, 1500, 5
	s.RPO = mirror.RPO{Records: 45, AgeMillis: 2500, Unknown: 1, SourceAgeMillis: 300}
	stop(&s, mirror.Overtaken, base().Add(time.Minute))
	late := &s.Topics[1]
	late.LagRecords, late.LagMillis, late.LSOLag = 40, 1500, 5
	late.Detail[0].LagRecords, late.Detail[0].LagMillis, late.Detail[0].LSOLag, late.Detail[0].Durable, late.Detail[0].Position = 40, 1500, 5, 50, 60
	late.Detail[1] = mirror.PartitionStatus{Partition: 1, State: mirror.Opening, Position: -1, Durable: -1, SourceLSO: -1, SourceHighWatermark: -1, SourceLogStart: -1, LagRecords: -1, LagMillis: -1, LSOLag: -1}
	late.Copying, late.Opening = 1, 1
	s.Copying, s.Opening = 2, 1
	c := New(&fixed{s}, Config{Backup: &fixedBackup{SnapshotAge: millis.Duration(90 * time.Second), LagRecords: 7}})

	golden, err := os.Open("testdata/golden.prom")
	if err != nil {
		t.Fatal(err)
	}
	defer golden.Close()
	names := slices.Collect(maps.Keys(gather(t, c)))
	names = slices.DeleteFunc(names, func(n string) bool { return n == "kafkadr_mirror_events_total" }) // TestEventsBegin
	if err := testutil.CollectAndCompare(c, golden, names...); err != nil {
		t.Error(err)
	}
	problems, err := testutil.CollectAndLint(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestUnknown holds that what isn't known has no series: not that of a mirror that hasn't begun,
// and no age before there is one.
func TestUnknown(t *testing.T) {
	got := gather(t, New(&fixed{mirror.Status{
		Flow: "mirror", Heartbeat: mirror.HeartbeatStatus{LatencyMillis: -1, AgeMillis: -1}, Groups: mirror.GroupStatus{AgeMillis: -1},
	}}, Config{}))
	for _, name := range []string{
		"start_time_seconds", "heartbeat_age_seconds", "heartbeat_latency_seconds", "group_sync_age_seconds", "last_event_timestamp_seconds",
		"stopped_partitions", "partition_position_offset",
	} {
		if f := got["kafkadr_mirror_"+name]; f != nil {
			t.Errorf("%s: %v", name, f)
		}
	}
	if got["kafkadr_mirror_info"] == nil || got["kafkadr_backup_snapshot_age_seconds"] != nil {
		t.Error("info is missing, or a backup is there that isn't")
	}
}

// TestBounds holds that the number of series is bounded, and that it is said.
func TestBounds(t *testing.T) {
	var s mirror.Status
	const topics = 50
	for i := range topics {
		detail := make([]mirror.PartitionStatus, 4)
		for p := range detail {
			detail[p] = mirror.PartitionStatus{Partition: int32(p), State: mirror.Copying}
		}
		s.Topics = append(s.Topics, mirror.TopicStatus{Source: fmt.Sprint("t", i), Detail: detail})
	}
	s.Partitions = 4 * topics
	for _, c := range []struct {
		name             string
		cfg              Config
		topic, partition bool
	}{
		{"defaults", Config{}, true, true},
		{"as many as there may be", Config{MaxPartitions: 200, MaxTopics: 50}, true, true},
		{"one partition more", Config{MaxPartitions: 199, MaxTopics: 50}, true, false},
		{"one topic more", Config{MaxPartitions: 200, MaxTopics: 49}, false, true},
		{"never", Config{MaxPartitions: -1, MaxTopics: -1}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := gather(t, New(&fixed{s}, c.cfg))
			total := 0
			for _, f := range got {
				total += len(f.Metric)
			}
			want := map[bool]int{true: 1}
			if n := len(got["kafkadr_mirror_topic_lag_records"].GetMetric()); n != want[c.topic]*topics {
				t.Errorf("%d series of topics", n)
			}
			if n := len(got["kafkadr_mirror_partition_state"].GetMetric()); n != want[c.partition]*4*4*topics {
				t.Errorf("%d series of partitions' states", n)
			}
			if a, b := value(got["kafkadr_mirror_topic_series"]), value(got["kafkadr_mirror_partition_series"]); a != truth(c.topic) || b != truth(c.partition) {
				t.Errorf("topic_series %v, partition_series %v", a, b)
			}
			// What the package's documentation says.
			if most := 75 + want[c.topic]*9*topics + want[c.partition]*14*4*topics; total > most {
				t.Errorf("%d series, at most %d are documented", total, most)
			}
		})
	}
}

func value(f *dto.MetricFamily) float64 {
	if len(f.GetMetric()) != 1 {
		return -1
	}
	return f.Metric[0].GetGauge().GetValue()
}

// TestLastEvent holds that the time of an event is known though others have pushed it out of the
// recent ones.
func TestLastEvent(t *testing.T) {
	f := &fixed{mirror.Status{Events: map[mirror.EventKind]int64{}}}
	c := New(f, Config{})
	now := base().Add(time.Hour)
	c.now = func() time.Time { return now }
	expect := func(when string, want map[string]float64) {
		t.Helper()
		got := make(map[string]float64)
		for _, m := range gather(t, c)["kafkadr_mirror_last_event_timestamp_seconds"].GetMetric() {
			got[m.Label[slices.IndexFunc(m.Label, func(l *dto.LabelPair) bool { return l.GetName() == "kind" })].GetValue()] = m.GetGauge().GetValue()
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	expect("before any", map[string]float64{})
	happened(&f.s, mirror.Event{Kind: mirror.Overtaken, Time: base().Add(10 * time.Second)})
	happened(&f.s, mirror.Event{Kind: mirror.Overtaken, Time: base().Add(20 * time.Second)})
	expect("the last of two", map[string]float64{"overtaken": 20})
	f.s.Recent = nil
	now = now.Add(time.Minute)
	expect("pushed out after it was seen", map[string]float64{"overtaken": 20})
	f.s.Events[mirror.Overtaken]++
	f.s.Events[mirror.Failed] = 70
	expect("pushed out before it was seen", map[string]float64{"overtaken": 3660, "failed": 3660})
	now = now.Add(time.Minute)
	expect("seen again", map[string]float64{"overtaken": 3660, "failed": 3660})
}

// TestEventsBegin holds that kinds of events are counted from zero, so that a first one is an
// increase.
func TestEventsBegin(t *testing.T) {
	f := gather(t, New(&fixed{healthy()}, Config{}))["kafkadr_mirror_events_total"]
	if f.GetType() != dto.MetricType_COUNTER || len(f.GetMetric()) != len(kinds()) {
		t.Fatalf("%d series of %s, want %d", len(f.GetMetric()), f.GetType(), len(kinds()))
	}
}

// TestConcurrent is for the race detector.
func TestConcurrent(t *testing.T) {
	s := healthy()
	stop(&s, mirror.Overtaken, base())
	c := New(&fixed{s}, Config{})
	r := prometheus.NewRegistry()
	r.MustRegister(c)
	errs := make(chan error)
	for range 4 {
		go func() { _, err := r.Gather(); errs <- err }()
	}
	var all []error
	for range 4 {
		all = append(all, <-errs)
	}
	if err := errors.Join(all...); err != nil {
		t.Error(err)
	}
}

func ExampleNew() {
	s := mirror.Status{Flow: "mirror", Totals: mirror.Totals{Partitions: 8, Copying: 8, Records: 1000}}
	text, err := testutil.CollectAndFormat(New(&fixed{s}, Config{}), expfmt.TypeTextPlain, "kafkadr_mirror_records_total")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(strings.TrimSpace(string(text)))
	// Output:
	// # HELP kafkadr_mirror_records_total Records appended to the standby since the start.
	// # TYPE kafkadr_mirror_records_total counter
	// kafkadr_mirror_records_total{flow="mirror"} 1000
}
