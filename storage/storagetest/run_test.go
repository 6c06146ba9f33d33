package storagetest_test

import (
	"testing"

	"go.uber.org/goleak"
	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/storage/storagetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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
