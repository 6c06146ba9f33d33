package testkafka

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// createBucket makes the bucket: one PUT, signed by hand (AWS Signature Version 4), so that the
// library links no S3 client. createBucket makes the bucket. A server that says it is ready may
// still answer 503 until it has its disks: that it makes the bucket is the condition.
func (s *S3) createBucket(t testing.TB, user, password string) {
	t.Helper()
	Eventually(t, time.Minute, func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, s.Endpoint+"/"+s.Bucket, nil)
		if err != nil {
			return permanent{err}
		}
		sign(req, user, password, time.Now().UTC())
		return status(req)
	})
}

// sign signs a request without body and query for S3 in us-east-1.
func sign(req *http.Request, user, password string, now time.Time) {
	date, stamp := now.Format("20060102"), now.Format("20060102T150405Z")
	empty := hex.EncodeToString(digest(""))
	req.Header.Set("X-Amz-Date", stamp)
	req.Header.Set("X-Amz-Content-Sha256", empty)
	headers := "host;x-amz-content-sha256;x-amz-date"
	canonical := fmt.Sprintf("%s\n%s\n\nhost:%s\nx-amz-content-sha256:%s\nx-amz-date:%s\n\n%s\n%s",
		req.Method, req.URL.Path, req.URL.Host, empty, stamp, headers, empty)
	scope := date + "/us-east-1/s3/aws4_request"
	text := fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%s", stamp, scope, hex.EncodeToString(digest(canonical)))
	key := []byte("AWS4" + password)
	for _, part := range []string{date, "us-east-1", "s3", "aws4_request"} {
		key = mac(key, part)
	}
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x",
		user, scope, headers, mac(key, text)))
}

func digest(s string) []byte {
	d := sha256.Sum256([]byte(s))
	return d[:]
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}
