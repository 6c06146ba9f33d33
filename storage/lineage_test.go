package storage_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/storage"
)

// contents are all objects of a bucket.
func contents(t *testing.T, b *blob.Bucket) map[string]string {
	t.Helper()
	all := map[string]string{}
	it := b.List(nil)
	for {
		o, err := it.Next(t.Context())
		if err != nil {
			return all
		}
		raw, err := b.ReadAll(t.Context(), o.Key)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Key] = string(raw)
	}
}

// Archives that NewLineage makes of the same input are the same, verify, and can be gone on with.
func TestNewLineage(t *testing.T) {
	var made []map[string]string
	for range 2 {
		b := memblob.OpenBucket(nil)
		defer func() { _ = b.Close() }()
		a, err := storage.Open(t.Context(), b, storage.Config{})
		if err != nil {
			t.Fatal(err)
		}
		l := storage.Lineage{ClusterID: "cluster"}
		change := storage.Change{CreatedAt: time.Unix(1, 0), Topics: []storage.Topic{{ID: kadm.TopicID{1}, Name: "t", Partitions: 1}}}
		commit := func() error {
			w, err := a.NewLineage(l, storage.WriterConfig{Owner: "test"}, time.Unix(2, 0))
			if err != nil {
				t.Fatal(err)
			}
			_, err = w.Commit(t.Context(), change)
			return err
		}
		if err := commit(); err != nil {
			t.Fatal(err)
		}
		made = append(made, contents(t, b))
		change.CreatedAt = time.Unix(3, 0)
		if err := commit(); !errors.Is(err, storage.ErrFenced) {
			t.Errorf("the lineage was there: %v", err)
		}
		w, err := a.NewWriter(t.Context(), l, storage.WriterConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(t.Context(), change); err != nil {
			t.Fatal(err)
		}
		if problems, err := a.VerifyChain(t.Context(), l); err != nil || len(problems) > 0 {
			t.Errorf("verify: %v, %v", problems, err)
		}
	}
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Errorf("not the same: %s", diff)
	}
	if len(made[0]) != 2 {
		t.Errorf("%d objects, want marker and entry", len(made[0]))
	}
}
