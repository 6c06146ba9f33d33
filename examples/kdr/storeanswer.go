package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"
	"google.golang.org/api/googleapi"
)

// storeAnswer reads out of an error of a cloud's SDK which HTTP status the store answered, 0 where
// it is no answer, and whether a 404 certainly is of the object: what gocloud's codes don't tell.
// S3's errors are known to those who ask.
func storeAnswer(err error) (code int, object bool) {
	var google *googleapi.Error
	var azure *azcore.ResponseError
	switch {
	case errors.As(err, &google):
		return google.Code, google.Code == http.StatusNotFound && googleObject(google)
	case errors.As(err, &azure):
		return azure.StatusCode, bloberror.HasCode(azure, bloberror.BlobNotFound)
	}
	return 0, false
}

// googleObject says that a 404 of Google's is of an object: it says so in words, JSON and XML in
// different ones.
func googleObject(err *googleapi.Error) bool {
	return strings.Contains(err.Message, "No such object") || strings.Contains(err.Body, "<Code>NoSuchKey</Code>")
}

// absent says whether the error of reading an object shows that it isn't there: the store's own
// answer does, else the listing that follows. Otherwise it is what went wrong.
func absent(ctx context.Context, b *blob.Bucket, key string, err error) (bool, error) {
	if gcerrors.Code(err) != gcerrors.NotFound {
		return false, err
	}
	code, object := storeAnswer(err)
	if code != 0 && code != http.StatusNotFound || object {
		return object, err
	}
	page, _, listErr := b.ListPage(ctx, blob.FirstPageToken, 1, &blob.ListOptions{Prefix: key})
	if listErr != nil || len(page) > 0 && page[0].Key == key {
		return false, errors.Join(err, listErr)
	}
	return true, nil
}

// has says whether an object is there.
func has(ctx context.Context, b *blob.Bucket, key string) (bool, error) {
	_, err := b.Attributes(ctx, key)
	if err == nil {
		return true, nil
	}
	if no, err := absent(ctx, b, key, err); !no {
		return false, err
	}
	return false, nil
}

// explainStore adds the way out to an error that S3 stores give which don't know the checksums that
// AWS's SDK sends behind the bytes.
func (f *storeFlags) explainStore(err error) error {
	var answer interface{ HTTPStatusCode() int }
	if f.at.Scheme != "s3" || f.at.Query().Has("request_checksum_calculation") || !errors.As(err, &answer) {
		return err
	}
	if code := answer.HTTPStatusCode(); code != http.StatusBadRequest && code != http.StatusNotImplemented {
		return err
	}
	return fmt.Errorf("the store may not know the checksums that AWS's SDK sends behind the bytes: add request_checksum_calculation=when_required to --store's parameters: %w", err)
}
