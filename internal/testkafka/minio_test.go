package testkafka

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMinIO(t *testing.T) {
	s := MinIO(t)
	if _, err := os.Stat(filepath.Join(s.Dir, s.Bucket)); err != nil {
		t.Fatalf("no bucket: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, s.Endpoint+"/"+s.Bucket, nil)
	if err != nil {
		t.Fatal(err)
	}
	sign(req, os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), time.Now().UTC())
	if err := status(req); err != nil {
		t.Fatal(err)
	}
}
