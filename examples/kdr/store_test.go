package main

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"gocloud.dev/blob"

	"github.com/kafkadr/kafkadr/internal/testkafka"
	"github.com/kafkadr/kafkadr/storage/storagetest"
)

// TestStoreOnS3 runs the conformance suite of stores on a real S3 server:
// create-only above all.
func TestStoreOnS3(t *testing.T) {
	s3 := testkafka.MinIO(t)
	storagetest.Run(t, func(t *testing.T) *blob.Bucket {
		at := s3.URL + "&prefix=" + url.QueryEscape(strings.ToLower(t.Name())+"/")
		b, err := blob.OpenBucket(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = b.Close() })
		return b
	})
}

// TestStoreURLs: which URLs name a store.
func TestStoreURLs(t *testing.T) {
	for _, c := range []struct{ url, fault string }{
		{"file:///backups", ""}, {"file://localhost/backups", ""}, {"file:///backups?prefix=a/", ""},
		{"s3://bucket?region=eu-central-1&prefix=a/", ""}, {"gs://bucket", ""}, {"azblob://container", ""}, {"mem://", "gone when the command ends"},
		{"backups", "want a URL"}, {"file://backups/main", "three slashes"}, {"file:///", "no directory"}, {"file:", "no directory"},
		{"file:///b?create_dir=true", "create_dir"}, {"s3:///prefix", "no bucket"}, {"gs://", "no bucket"},
		{"http://host/x", "unknown scheme"}, {"s3://bu cket", "not a URL"}, {"s3://%zz", "not a URL"}, {"", "required"},
	} {
		t.Run(fmt.Sprintf("%q", c.url), func(t *testing.T) {
			a := &app{}
			f := storeFlags{url: c.url}
			f.check(a)
			if c.fault == "" && len(a.faults) > 0 || c.fault != "" && (len(a.faults) != 1 || !strings.Contains(a.faults[0], c.fault)) {
				t.Errorf("faults %q, want %q", a.faults, c.fault)
			}
		})
	}
}
