package standby

import (
	"errors"
	"fmt"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/copylock"
	"github.com/kafkadr/kafkadr/internal/exactcopy"
	"github.com/kafkadr/kafkadr/internal/rawkafka"
	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/batch"
)

// sideOf is a standby with a topic of one partition.
func sideOf(t *testing.T, locks Locks) (*Side, rawkafka.Partition) {
	t.Helper()
	cl := testkafka.Fake(t, testkafka.Options{})
	testkafka.Create(t, cl, 1, 1, nil, "t")
	c, err := rawkafka.Connect(t.Context(), cl.Opts(), rawkafka.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	topics, err := c.Topics(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	return &Side{Cluster: c, Copier: copierOf(t, c), Locks: locks}, rawkafka.Partition{Topic: "t", TopicID: topics["t"].ID}
}

func copierOf(t *testing.T, c *rawkafka.Cluster) *exactcopy.Copier {
	t.Helper()
	copier, err := exactcopy.New(t.Context(), exactcopy.Config{Cluster: c, TransactionalID: "copy"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(copier.Close)
	return copier
}

// chunk has n records at each of the bases.
func chunk(t *testing.T, end int64, n int, bases ...int64) Chunk {
	t.Helper()
	c := Chunk{End: end}
	for _, base := range bases {
		var rs []*kgo.Record
		for i := range n {
			rs = append(rs, &kgo.Record{Value: fmt.Append(nil, base+int64(i))})
		}
		var err error
		if c.Raw, err = batch.Append(c.Raw, base, kgo.NoCompression(), rs...); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// opened is a copy that is open.
func opened(t *testing.T, side *Side, p rawkafka.Partition, at int64) *Copy {
	t.Helper()
	c := New(side, NewClaim(side.Locks, p.TopicID, func(err error) { t.Error("unguarded:", err) }), p)
	c.Begin(at, at)
	if err := c.Open(t.Context(), at, true); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// appended hands a chunk over and waits until it is durable.
func appended(t *testing.T, c *Copy, chunk Chunk) {
	t.Helper()
	if _, err := c.Append(t.Context(), chunk); err != nil {
		t.Fatal(err)
	}
	if err := c.Flush(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	c.Reached()
}

// TestCount: what becomes durable counts once, also where it is handed over again since the standby
// has lost it.
func TestCount(t *testing.T) {
	side, p := sideOf(t, nil)
	c := opened(t, side, p, 0)
	appended(t, c, chunk(t, 6, 3, 0, 3))
	if records, _ := c.Count(); records != 6 || c.Position() != 6 || c.Durable() != 6 || !c.Flushed() {
		t.Errorf("%d records, at %d, durable %d", records, c.Position(), c.Durable())
	}
	if c.Begin(3, 3) {
		t.Error("it has got less far than was known")
	}
	c.handed = append(c.handed, handed{end: 6, records: 3}, handed{end: 9, records: 3})
	if c.Settle(9); c.Durable() != 3 {
		t.Errorf("durable %d beyond what was appended", c.Durable())
	}
	if !c.Begin(9, 9) {
		t.Error("it has got further than was known")
	}
	if records, _ := c.Count(); records != 9 {
		t.Errorf("%d records, want 9: three of them anew", records)
	}
}

// TestMoved: a copy that doesn't end where it was looked at isn't appended to.
func TestMoved(t *testing.T) {
	side, p := sideOf(t, nil)
	appended(t, opened(t, side, p, 0), chunk(t, 3, 3, 0))
	c := New(side, nil, p)
	t.Cleanup(c.Close)
	if err := c.Open(t.Context(), 0, false); !errors.Is(err, ErrMoved) {
		t.Error(err)
	}
}

// TestHole: a hole at the end of a chunk is left to the next, the topic is claimed with the first
// one that is made, and what the one who had it has appended since isn't overtaken.
func TestHole(t *testing.T) {
	l := &answers{}
	side, p := sideOf(t, l)
	c := opened(t, side, p, 0)
	part := chunk(t, 5, 3, 0)
	part.More = true
	if until, err := c.Append(t.Context(), part); err != nil || until != 3 || l.claims != 0 {
		t.Fatal(until, err, l.claims)
	}
	appended(t, c, chunk(t, 8, 3, 5))
	if l.claims != 1 || c.Position() != 8 {
		t.Errorf("%d claims, at %d", l.claims, c.Position())
	}
	l.held = copylock.ErrTakenOver
	if _, err := c.Append(t.Context(), chunk(t, 10, 1, 9)); !errors.Is(err, copylock.ErrTakenOver) {
		t.Error(err)
	}
	l.held = nil
	c.claim.Release()
	if err := side.Cluster.Client().ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("another's")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Append(t.Context(), chunk(t, 10, 1, 9)); !errors.Is(err, ErrMoved) {
		t.Error(err)
	}
}

// TestFill: a copy of a log that starts above 0 starts there too.
func TestFill(t *testing.T) {
	side, p := sideOf(t, nil)
	c := opened(t, side, p, 0)
	if err := c.Fill(t.Context(), 1000); err != nil {
		t.Fatal(err)
	}
	appended(t, c, chunk(t, 1003, 3, 1000))
	starts, err := kadm.NewClient(side.Cluster.Client()).ListStartOffsets(t.Context(), "t")
	if o, _ := starts.Lookup("t", 0); err != nil || o.Offset != 1000 || c.Position() != 1003 {
		t.Error(o, err, c.Position())
	}
}
