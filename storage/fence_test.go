package storage_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/internal/testpass"
	"github.com/kafkadr/kafkadr/storage"
)

// job claims the lineage and brings partition 0 of topic 1 to ten records more, once.
func job(t *testing.T, b *blob.Bucket, owner string) error {
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: -1})
	if err != nil {
		return err
	}
	w, err := a.NewWriter(t.Context(), lineage, storage.WriterConfig{Owner: owner})
	if err != nil {
		return err
	}
	var base int64
	if s := w.Snapshot(); s != nil {
		for st, err := range s.Partitions(t.Context(), topicID(1)) {
			if err != nil {
				return err
			}
			base = st.EndOffset
		}
	}
	c, err := tryWrite(t, t.Context(), w, base, partition(1, 0), partition(1, 1))
	if err != nil {
		return err
	}
	_, err = w.Commit(t.Context(), storage.Change{
		CreatedAt: cutAt, Flush: true, Segments: []*storage.Closed{c}, Topics: []storage.Topic{topic(1)},
		Partitions: []storage.PartitionState{upTo(partition(1, 0), base+10), upTo(partition(1, 1), base+10)},
	})
	return err
}

func sweep(t *testing.T, b *blob.Bucket, owner string) error {
	a, err := storage.Open(t.Context(), b, storage.Config{Retries: -1})
	if err != nil {
		return err
	}
	_, err = a.Sweep(t.Context(), lineage, storage.SweepOptions{Owner: owner})
	return err
}

// TestInterleavings runs two writers, and a writer and a sweep, in every order in which their store
// operations can take effect up to a bound of switches between them: what is visible is whole, each
// that didn't fail is in it, one that failed was fenced by the other.
func TestInterleavings(t *testing.T) {
	testpass.NoRaces(t)
	for name, second := range map[string]func(*testing.T, *blob.Bucket, string) error{"writers": job, "sweep": sweep} {
		t.Run(name, func(t *testing.T) {
			switches := 2
			if os.Getenv("KAFKADR_LONG") != "" {
				switches = 3
			}
			runs := 0
			explore(switches, func(schedule []int) (ran int) {
				runs++
				synctest.Test(t, func(t *testing.T) { ran = interleave(t, schedule, second) })
				return ran
			})
			t.Logf("%d orders", runs)
		})
	}
}

// explore tries every list of up to n points of switching. A run returns how many operations it had
// after the last switch.
func explore(n int, run func(schedule []int) int) {
	var try func(schedule []int)
	try = func(schedule []int) {
		ran := run(schedule)
		if len(schedule) == n {
			return
		}
		for k := range ran {
			try(append(schedule[:len(schedule):len(schedule)], k))
		}
	}
	try(nil)
}

// interleave lets the actors run in turn: schedule says after how many operations the turn goes to
// the other.
func interleave(t *testing.T, schedule []int, second func(*testing.T, *blob.Bucket, string) error) int {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	if err := job(t, inner, "before"); err != nil {
		t.Fatal(err)
	}
	turns := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
	waiting, done := make(chan int), make(chan int)
	var errs [2]error
	for i, f := range []func(*testing.T, *blob.Bucket, string) error{job, second} {
		b, faults := faultbucket.New(inner)
		faults.Gate(func(context.Context, faultbucket.Op) error {
			waiting <- i
			<-turns[i]
			return nil
		})
		go func() {
			errs[i] = f(t, b, fmt.Sprint("actor ", i))
			done <- i
		}()
	}
	ran := schedulerLoop(schedule, turns, waiting, done)
	for i, err := range errs {
		var fenced *storage.FencedError
		if err != nil && (!errors.As(err, &fenced) || fenced.Owner != fmt.Sprint("actor ", 1-i)) {
			t.Errorf("order %v: actor %d: %v", schedule, i, err)
		}
	}
	if errs[0] != nil && errs[1] != nil {
		t.Errorf("order %v: both failed", schedule)
	}
	want := int64(10)
	for _, err := range errs {
		if err == nil {
			want += 10
		}
	}
	if got := check(t, inner); got != want && got != want-10 { // a sweep adds none
		t.Errorf("order %v: the end offset is %d; %v", schedule, got, errs)
	}
	return ran
}

// schedulerLoop returns how many operations ran after the last switch of the schedule.
func schedulerLoop(schedule []int, turns [2]chan struct{}, waiting, done chan int) (ran int) {
	var ready, ended [2]bool
	current, left := 0, -1
	if len(schedule) > 0 {
		left, schedule = schedule[0], schedule[1:]
	}
	for !ended[0] || !ended[1] {
		for i := range ready {
			for !ready[i] && !ended[i] {
				select {
				case j := <-waiting:
					ready[j] = true
				case j := <-done:
					ended[j] = true
				}
			}
		}
		if left == 0 {
			current, left = 1-current, -1
			if len(schedule) > 0 {
				left, schedule = schedule[0]+1, schedule[1:]
			}
		}
		i := current
		if ended[i] {
			i = 1 - i
		}
		if ended[i] {
			break
		}
		ready[i] = false
		if left > 0 {
			left--
		} else if left < 0 && len(schedule) == 0 {
			ran++
		}
		turns[i] <- struct{}{}
	}
	return ran
}

// TestSweep counts with DryRun, removes without, and makes no lineage of one that isn't there.
func TestSweep(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer func() { _ = b.Close() }()
	a := open(t, b)
	if res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{}); err != nil || *res != (storage.SweepResult{}) {
		t.Fatal(res, err)
	}
	if ls, err := a.Lineages(t.Context()); err != nil || len(ls) > 0 {
		t.Fatal(ls, err)
	}
	noError(t, job(t, b, "owner"))
	w := newWriter(t, a, "dead")
	size := write(t, w, 0, partition(1, 0)).Object.Size + write(t, w, 0, partition(1, 1)).Object.Size
	want := storage.SweepResult{Objects: 2, Bytes: size}
	if res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{DryRun: true}); err != nil || *res != want {
		t.Fatal(res, err)
	}
	for range 2 {
		res, err := a.Sweep(t.Context(), lineage, storage.SweepOptions{Owner: "sweeper"})
		if err != nil || *res != want {
			t.Fatal(res, err)
		}
		want = storage.SweepResult{}
	}
	_, err := w.Commit(t.Context(), storage.Change{CreatedAt: cutAt})
	var fenced *storage.FencedError
	if !errors.As(err, &fenced) || fenced.Owner != "sweeper" || fenced.Kind != "sweep" {
		t.Fatal(err)
	}
	if end := check(t, b); end != 10 {
		t.Fatal(end)
	}
}
