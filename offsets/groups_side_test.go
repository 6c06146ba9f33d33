package offsets_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/offsets"
)

// side is a cluster with what tests do to it.
type side struct {
	t   testing.TB
	c   testkafka.Cluster
	cl  *kgo.Client
	adm *kadm.Client
}

func newSide(t testing.TB, c testkafka.Cluster) *side {
	cl := testkafka.Client(t, c)
	return &side{t, c, cl, kadm.NewClient(cl)}
}

func newFake(t testing.TB) *side { return newSide(t, testkafka.Fake(t, testkafka.Options{})) }

func (s *side) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// topic creates a topic whose partitions hold n records each.
func (s *side) topic(name string, partitions int32, n int) {
	s.t.Helper()
	testkafka.Create(s.t, s.c, partitions, -1, nil, name)
	s.fill(name, partitions, n)
}

func (s *side) fill(name string, partitions int32, n int) {
	s.t.Helper()
	var rs []*kgo.Record
	for p := range partitions {
		for i := range n {
			rs = append(rs, &kgo.Record{Topic: name, Partition: p, Value: fmt.Append(nil, i)})
		}
	}
	if len(rs) > 0 {
		testkafka.Eventually(s.t, time.Minute, func(ctx context.Context) error {
			_, err := s.adm.ListEndOffsets(ctx, name)
			return err
		})
		c := testkafka.Client(s.t, s.c, kgo.RecordPartitioner(kgo.ManualPartitioner())) // that knows no topic of the name before
		s.ok(c.ProduceSync(s.t.Context(), rs...).FirstErr())
	}
}

// commit commits offsets as an admin would, partition 0 and on.
func (s *side) commit(group, topic, metadata string, epoch int32, at ...int64) {
	s.t.Helper()
	var os kadm.Offsets
	for p, o := range at {
		os.Add(kadm.Offset{Topic: topic, Partition: int32(p), At: o, LeaderEpoch: epoch, Metadata: metadata})
	}
	testkafka.Eventually(s.t, time.Minute, func(ctx context.Context) error { return s.adm.CommitAllOffsets(ctx, group, os) })
}

// join makes a group active, and returns what ends it.
func (s *side) join(group, topic string, opts ...kgo.Opt) (leave func()) {
	s.t.Helper()
	c := testkafka.Client(s.t, s.c, append([]kgo.Opt{kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit()}, opts...)...)
	s.ok(c.PollFetches(s.t.Context()).Err())
	s.await(group, func(g *offsets.Group) bool { return g != nil && g.Active() })
	return func() {
		c.Close()
		s.await(group, func(g *offsets.Group) bool { return g == nil || !g.Active() })
	}
}

func (s *side) await(group string, is func(*offsets.Group) bool) {
	s.t.Helper()
	testkafka.Eventually(s.t, time.Minute, func(context.Context) error {
		if g := s.capture(offsets.CaptureConfig{}).Lookup(group); !is(g) {
			return fmt.Errorf("%s: %+v", group, g)
		}
		return nil
	})
}

func (s *side) capture(cfg offsets.CaptureConfig) *offsets.Groups {
	s.t.Helper()
	g, err := offsets.Capture(s.t.Context(), s.cl, cfg)
	s.ok(err)
	return g
}

func (s *side) plan(cfg offsets.PlanConfig) *offsets.GroupsPlan {
	s.t.Helper()
	p, err := offsets.NewGroupsPlan(s.t.Context(), s.cl, cfg)
	s.ok(err)
	return p
}

// apply applies a plan that nothing is in the way of.
func (s *side) apply(p *offsets.GroupsPlan) (*offsets.Result, *offsets.Before) {
	s.t.Helper()
	var before *offsets.Before
	res, err := p.Apply(s.t.Context(), s.cl, offsets.ApplyConfig{Save: func(b *offsets.Before) error { before = b; return nil }})
	if err != nil {
		s.t.Fatalf("%v\n%v", err, p)
	}
	return res, before
}

// at is what a group has committed, as offset, epoch and metadata by partition.
func (s *side) at(group, topic string) string {
	s.t.Helper()
	os, err := s.adm.FetchOffsets(s.t.Context(), group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return ""
	}
	s.ok(err)
	var texts []string
	for _, o := range os.Sorted() {
		if o.Topic == topic && o.At >= 0 {
			texts = append(texts, fmt.Sprintf("%d:%d/%d%s", o.Partition, o.At, o.LeaderEpoch, o.Metadata))
		}
	}
	return strings.Join(texts, " ")
}

func (s *side) want(group, topic, want string) {
	s.t.Helper()
	if got := s.at(group, topic); got != want {
		s.t.Errorf("%s on %s: committed %q, want %q", group, topic, got, want)
	}
}

// refused are a plan's refusals or an error's, as text.
func refused(list []offsets.Refusal) string {
	var texts []string
	for _, r := range list {
		if r.Topic == "" {
			texts = append(texts, fmt.Sprintf("%s %s", r.Group, r.Why))
			continue
		}
		texts = append(texts, fmt.Sprintf("%s %s/%d %s", r.Group, r.Topic, r.Partition, r.Why))
	}
	return strings.Join(texts, ", ")
}

// wantRefused fails the test unless applying is refused like this, before the first effect.
func (s *side) wantRefused(p *offsets.GroupsPlan, want string) {
	s.t.Helper()
	_, err := p.Apply(s.t.Context(), s.cl, offsets.ApplyConfig{Save: func(*offsets.Before) error {
		s.t.Error("an effect was about to begin")
		return errors.New("no")
	}})
	var r *offsets.RefusedError
	if !errors.As(err, &r) || refused(r.Refused) != want {
		s.t.Errorf("apply: %v, want %s", err, want)
	}
}

// roundTrip is v by way of JSON.
func roundTrip[T any](t testing.TB, v *T) *T {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	back := new(T)
	if err := json.Unmarshal(raw, back); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(v, back); diff != "" {
		t.Errorf("by JSON: %s", diff)
	}
	return back
}
