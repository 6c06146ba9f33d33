package register_test

import (
	"net/url"
	"strings"
	"testing"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/register/quorum"
	"github.com/kafkadr/kafkadr/failover/registertest"
	"github.com/kafkadr/kafkadr/internal/testkafka"
)

func open(t testing.TB, s3 *testkafka.S3, store string) *bucket.Register {
	b, err := blob.OpenBucket(t.Context(), s3.URL+"&prefix="+url.QueryEscape(strings.ToLower(t.Name())+"/"+store))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	r, err := bucket.Open(t.Context(), b, bucket.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestS3 runs on a real S3 server.
func TestS3(t *testing.T) {
	s3 := testkafka.MinIO(t)
	registertest.Run(t, func(t testing.TB) register.Register { return open(t, s3, "") })
}

// TestQuorumOnS3 has three stores, of a real S3 server.
func TestQuorumOnS3(t *testing.T) {
	s3 := testkafka.MinIO(t)
	registertest.Run(t, func(t testing.TB) register.Register {
		q, err := quorum.New(quorum.Config{Stores: []register.Store{open(t, s3, "a/"), open(t, s3, "b/"), open(t, s3, "c/")}})
		if err != nil {
			t.Fatal(err)
		}
		return q
	})
}
