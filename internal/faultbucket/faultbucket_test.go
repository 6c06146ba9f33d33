package faultbucket_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A store that fails after it has succeeded.
func Example() {
	ctx := context.Background()
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	b, faults := faultbucket.New(inner)
	faults.Set(faultbucket.At(1, faultbucket.After))
	fmt.Println(b.WriteAll(ctx, "key", []byte("value"), nil) != nil)
	value, err := b.ReadAll(ctx, "key")
	fmt.Println(string(value), err, faults.Count())
	// Output:
	// true
	// value <nil> 2
}

func TestFaults(t *testing.T) {
	for _, c := range []struct {
		fault  faultbucket.Fault
		fails  bool
		stored bool
	}{
		{faultbucket.None, false, true},
		{faultbucket.Before, true, false},
		{faultbucket.After, true, true},
		{faultbucket.Drop, false, false},
		{faultbucket.Cut, true, false},
		{faultbucket.Full, true, false},
		{faultbucket.Hide, true, false},
	} {
		inner := memblob.OpenBucket(nil)
		b, faults := faultbucket.New(inner)
		faults.Set(faultbucket.On(faultbucket.Put, c.fault))
		err := b.WriteAll(t.Context(), "key", []byte("value"), &blob.WriterOptions{IfNotExist: true})
		stored, _ := inner.Exists(t.Context(), "key")
		if (err != nil) != c.fails || stored != c.stored {
			t.Errorf("fault %d: %v, stored: %v", c.fault, err, stored)
		}
		if c.fault == faultbucket.Full && gcerrors.Code(err) != gcerrors.ResourceExhausted {
			t.Error(err)
		}
		_ = inner.Close()
	}
}

func TestReads(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	if err := inner.WriteAll(t.Context(), "key", []byte("0123456789"), nil); err != nil {
		t.Fatal(err)
	}
	b, faults := faultbucket.New(inner)
	for fault, want := range map[faultbucket.Fault]string{faultbucket.Cut: "01234", faultbucket.Short: "01234", faultbucket.None: "0123456789"} {
		faults.Set(faultbucket.On(faultbucket.Get, fault))
		got, err := b.ReadAll(t.Context(), "key")
		if string(got) != want || (err != nil) != (fault == faultbucket.Cut) {
			t.Errorf("fault %d: %q, %v", fault, got, err)
		}
	}
}

func TestBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memblob.OpenBucket(nil)
		defer func() { _ = inner.Close() }()
		b, faults := faultbucket.New(inner)
		faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Block))
		done := make(chan error, 1)
		go func() { done <- b.WriteAll(t.Context(), "key", nil, nil) }()
		synctest.Wait()
		if faults.Blocked() != 1 {
			t.Fatal(faults.Blocked())
		}
		faults.Release()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		faults.Set(faultbucket.On(faultbucket.Put, faultbucket.Block))
		ctx, cancel := context.WithCancel(t.Context())
		go func() { done <- b.WriteAll(ctx, "other", nil, nil) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	})
}

func TestFrom(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	defer func() { _ = inner.Close() }()
	b, faults := faultbucket.New(inner)
	faults.Set(faultbucket.From(2, faultbucket.After))
	for i := range 4 {
		err := b.WriteAll(t.Context(), fmt.Sprint(i), nil, nil)
		stored, _ := inner.Exists(t.Context(), fmt.Sprint(i))
		if (err == nil) != (i == 0) || stored != (i < 2) {
			t.Errorf("operation %d: %v, stored: %v", i+1, err, stored)
		}
	}
}
