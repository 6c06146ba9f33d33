package storagetest_test

import (
	"testing"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/internal/faultbucket"
	"github.com/kafkadr/kafkadr/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRefusing has a driver's errors say nothing but NotFound, and be told nothing by a status.
func TestRefusing(t *testing.T) {
	for name, fault := range map[string]faultbucket.Fault{"not found": faultbucket.Hide, "failure": faultbucket.Before} {
		t.Run(name, func(t *testing.T) {
			storagetest.RunRefusing(t, func(t *testing.T) storagetest.Refusing {
				inner := memblob.OpenBucket(nil)
				b, faults := faultbucket.New(inner)
				t.Cleanup(func() { _, _ = b.Close(), inner.Close() })
				return storagetest.Refusing{Bucket: b, Refuse: func(refuse func(op, key string) bool) {
					faults.Set(func(o faultbucket.Op) faultbucket.Fault {
						if refuse != nil && refuse(string(o.Kind), o.Key) {
							return fault
						}
						return faultbucket.None
					})
				}}
			})
		})
	}
}

func TestMem(t *testing.T) {
	buckets := map[*testing.T]*blob.Bucket{}
	storagetest.Run(t, func(t *testing.T) *blob.Bucket {
		if buckets[t] == nil {
			buckets[t] = memblob.OpenBucket(nil)
			t.Cleanup(func() { _ = buckets[t].Close() })
		}
		return buckets[t]
	})
}
