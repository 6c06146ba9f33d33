package main

import (
	"net/http"
	"os"
	"strings"
	"testing"

	gstorage "cloud.google.com/go/storage"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
	"gocloud.dev/blob/azureblob"
	"gocloud.dev/blob/gcsblob"
	"gocloud.dev/blob/s3blob"
	"google.golang.org/api/option"

	"github.com/kafkadr/kafkadr/failover/register"
	"github.com/kafkadr/kafkadr/failover/register/bucket"
	"github.com/kafkadr/kafkadr/failover/registertest"
	"github.com/kafkadr/kafkadr/storage/storagetest"
)

// driver opens a cloud's bucket through its SDK, which tries nothing again by itself.
type driver struct {
	name   string
	serve  func(c *cloud, w http.ResponseWriter, r *http.Request)
	open   func(t testing.TB, url string, client *http.Client) (*blob.Bucket, error)
	answer func(w http.ResponseWriter, code int, reason string)
	// forbidden, absent and gone are what the store says of a missing right, object and bucket.
	forbidden, absent, gone string
}

func clouds() []driver {
	return []driver{
		{"s3", serveS3, openS3, xmlError, "AccessDenied", "NoSuchKey", "NoSuchBucket"},
		{"google", serveGoogle, openGoogle, jsonError, "caller does not have storage.objects.get access", "No such object: b/k", "The specified bucket does not exist."},
		{"azure", serveAzure, openAzure, xmlError, "AuthorizationPermissionMismatch", "BlobNotFound", "ContainerNotFound"},
	}
}

func openS3(t testing.TB, url string, client *http.Client) (*blob.Bucket, error) {
	return s3blob.OpenBucket(t.Context(), s3.New(s3.Options{
		BaseEndpoint: aws.String(url), Region: "x", UsePathStyle: true, HTTPClient: client, Retryer: aws.NopRetryer{},
		Credentials: aws.AnonymousCredentials{}, RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
	}), "b", &s3blob.Options{RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired})
}

func openGoogle(t testing.TB, url string, client *http.Client) (*blob.Bucket, error) {
	cl, err := gstorage.NewClient(t.Context(), option.WithHTTPClient(client), option.WithEndpoint(url+"/"))
	if err != nil {
		return nil, err
	}
	cl.SetRetry(gstorage.WithPolicy(gstorage.RetryNever))
	return gcsblob.OpenBucket(t.Context(), nil, "b", &gcsblob.Options{Client: cl})
}

func openAzure(t testing.TB, url string, client *http.Client) (*blob.Bucket, error) {
	cl, err := container.NewClientWithNoCredential(url+"/b", &container.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: client, Retry: policy.RetryOptions{MaxRetries: -1}}})
	if err != nil {
		return nil, err
	}
	return azureblob.OpenBucket(t.Context(), cl, nil)
}

// refusals are the ways in which a store doesn't give what it has.
func (d driver) refusals() map[string]func(c *cloud) {
	says := func(code int, reason string) func(c *cloud) {
		return func(c *cloud) { c.refusal = func(w http.ResponseWriter, _ string) { d.answer(w, code, reason) } }
	}
	return map[string]func(c *cloud){
		"403":         says(http.StatusForbidden, d.forbidden),
		"404":         says(http.StatusNotFound, "NotFound"),
		"409":         says(http.StatusConflict, "OperationAborted"),
		"503":         says(http.StatusServiceUnavailable, "SlowDown"),
		"lost DNS":    func(c *cloud) { c.lost = true },
		"lost bucket": says(http.StatusNotFound, d.gone),
	}
}

func (d driver) start(t *testing.T, refuse func(c *cloud)) (*cloud, *blob.Bucket) {
	c, url, client := newCloud(t, d.serve)
	refuse(c)
	b, err := d.open(t, url, client)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return c, b
}

// TestCloudsRefuse: through the drivers of the three clouds, nothing that is refused counts as
// absent, in archives and in registers.
func TestCloudsRefuse(t *testing.T) {
	for _, d := range clouds() {
		for name, refuse := range d.refusals() {
			if name != "403" && os.Getenv("KAFKADR_LONG") == "" {
				continue // minutes, of pauses between tries
			}
			t.Run(d.name+"/"+strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				t.Parallel()
				t.Run("archive", func(t *testing.T) {
					storagetest.RunRefusing(t, func(t *testing.T) storagetest.Refusing {
						c, b := d.start(t, refuse)
						return storagetest.Refusing{Bucket: b, Refuse: c.set, Status: storeAnswer}
					})
				})
				t.Run("register", func(t *testing.T) {
					registertest.RunRefusing(t, func(t testing.TB) registertest.Refusing {
						c, b := d.start(t.(*testing.T), refuse)
						return registertest.Refusing{Refuse: c.set, Open: func(t testing.TB) register.Register {
							r, err := bucket.Open(t.Context(), b, bucket.Config{Later: true, Retries: 1, Status: storeAnswer})
							if err != nil {
								t.Fatal(err)
							}
							return r
						}}
					})
				})
			})
		}
	}
}
