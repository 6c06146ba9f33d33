package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// slowBackup starts a snapshot that takes minutes.
func slowBackup(t *testing.T) (s *source, store string, f *following) {
	t.Helper()
	s = newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	s.create("orders", 3, nil)
	noise := rand.NewChaCha8([32]byte{})
	for p := range int32(3) {
		for range 10 {
			r := sample("orders", p, 0)
			r.Value = make([]byte, 900<<10)
			_, _ = noise.Read(r.Value)
			if err := s.cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	store = "file://" + filepath.Join(t.TempDir(), "archive")
	return s, store, start(t, "backup", "--brokers", s.brokers(), "--store", store, "--rate", "100KiB")
}

// TestStopBackup: a signal ends a snapshot within 10 s with exit code 130, and
// running it again makes a whole one.
func TestStopBackup(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			s, store, f := slowBackup(t)
			f.waitForLog(t, "msg=topic")
			begin := time.Now()
			o := f.stop(t, signal).want(t, 130)
			if d := time.Since(begin); d > 10*time.Second {
				t.Errorf("stopping took %s", d)
			}
			if !strings.Contains(o.stderr, "stopping") || !strings.Contains(o.stderr, "kdr: interrupted") || o.stdout != "" {
				t.Errorf("standard output: %q\nstandard error: %s", o.stdout, o.stderr)
			}
			doc := kdr(t, "backup", "--brokers", s.brokers(), "--store", store, "--json").want(t, 0).json(t)
			if doc["total"].(map[string]any)["records"] != 30.0 {
				t.Errorf("%v", doc)
			}
			kdr(t, "verify", "--store", store).want(t, 0)
		})
	}
}

// waitForLog waits for words on standard error.
func (f *following) waitForLog(t *testing.T, words string) {
	t.Helper()
	testkafka.Eventually(t, time.Minute, func(context.Context) error {
		if text := f.stderr.String(); !strings.Contains(text, words) {
			return errors.Join(fmt.Errorf("no %q in %s", words, text), f.alive())
		}
		return nil
	})
}

// TestSecondSignal: the second signal ends the process at once, whatever it
// is doing.
func TestSecondSignal(t *testing.T) {
	var out strings.Builder
	exited := make(chan int, 1)
	ctx, stop := withSignals(t.Context(), func(code int) { exited <- code }, &out)
	defer stop()
	self := syscall.Getpid()
	if err := syscall.Kill(self, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-ctx.Done()
	if !errors.Is(context.Cause(ctx), errInterrupted) {
		t.Errorf("cause %v", context.Cause(ctx))
	}
	if err := syscall.Kill(self, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := <-exited; code != 130 {
		t.Errorf("exit code %d", code)
	}
}

// TestIncomplete: a partition that can't be read makes the snapshot
// incomplete; the run says so with exit code 1, and it isn't the latest.
func TestIncomplete(t *testing.T) {
	s := newSource(t, testkafka.Fake(t, testkafka.Options{}), "")
	s.create("orders", 2, nil)
	s.send("orders", 2, 20)
	c := testkafka.Kfake(s.Cluster)
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		resp, denied := denyPartition(req.(*kmsg.FetchRequest), 1)
		return resp, nil, denied
	})
	store := "file://" + filepath.Join(t.TempDir(), "archive")
	o := kdr(t, "backup", "--brokers", s.brokers(), "--store", store, "--json").want(t, 1)
	if doc := o.json(t); doc["complete"] != false || !strings.Contains(o.stderr, "orders/1") {
		t.Errorf("%v\n%s", doc, o.stderr)
	}
	snapshot := o.json(t)["snapshot"].(string)
	if o := kdr(t, "show", "--store", store).want(t, 1); !strings.Contains(o.stderr, "no such snapshot") {
		t.Errorf("an incomplete snapshot is the latest: %s", o.stderr)
	}
	if o := kdr(t, "show", "--store", store, snapshot).want(t, 0); !strings.Contains(o.stdout, "incomplete") || !strings.Contains(o.stdout, "not read up to the cut") {
		t.Errorf("show: %s", o.stdout)
	}
	if o := kdr(t, "list", "--store", store).want(t, 0); !strings.Contains(o.stdout, "incomplete") {
		t.Errorf("list: %s", o.stdout)
	}
	target := testkafka.Fake(t, testkafka.Options{})
	restore := []string{"restore", "--store", store, "--brokers", target.Addrs()[0], "--snapshot", snapshot}
	kdr(t, restore...).want(t, 4)
	kdr(t, append(restore, "--allow-incomplete")...).want(t, 0)
	if got := len(read(t, target, kgo.ReadUncommitted(), "orders")["orders/0"]); got != 20 {
		t.Errorf("%d records of orders/0, want 20", got)
	}
}

// denyPartition answers a fetch of that partition with an error.
func denyPartition(req *kmsg.FetchRequest, partition int32) (kmsg.Response, bool) {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	denied := false
	for _, topic := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = topic.Topic, topic.TopicID
		for _, p := range topic.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition = p.Partition
			if p.Partition == partition {
				rp.ErrorCode, denied = kerr.TopicAuthorizationFailed.Code, true
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp, denied
}
