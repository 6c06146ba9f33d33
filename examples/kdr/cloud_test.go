package main

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

// cloud is a store behind HTTP, as far as the SDKs of S3, Google and Azure ask for it, and what
// goes wrong there.
type cloud struct {
	inner *blob.Bucket
	// refusal answers what refuse is true for.
	refusal func(w http.ResponseWriter, op string)
	lost    bool // the name isn't found: no answer at all

	mu     sync.Mutex
	refuse func(op, key string) bool
	seen   map[string]int
}

// request is one operation in the words of all three.
type request struct {
	op, key, delimiter, token string
	ifAbsent                  bool
	body                      []byte
	size                      int
}

// newCloud serves parse's requests and returns the server's address, and a client for it.
func newCloud(t *testing.T, serve func(c *cloud, w http.ResponseWriter, r *http.Request)) (*cloud, string, *http.Client) {
	c := &cloud{inner: memblob.OpenBucket(nil), seen: map[string]int{}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(c, w, r) }))
	transport := &http.Transport{}
	t.Cleanup(func() { s.Close(); transport.CloseIdleConnections(); _ = c.inner.Close() })
	return c, s.URL, &http.Client{Transport: lossy{c, transport}}
}

// lossy loses the store's name, when told.
type lossy struct {
	c    *cloud
	next http.RoundTripper
}

func (l lossy) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header.Set("X-Client", "lossy")
	resp, err := l.next.RoundTrip(r)
	if err == nil && resp.Header.Get("X-Lost") != "" {
		_ = resp.Body.Close()
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}}
	}
	return resp, err
}

func (c *cloud) set(refuse func(op, key string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse, c.seen = refuse, map[string]int{}
}

// refuses counts a request, and answers it where it is refused.
func (c *cloud) refuses(w http.ResponseWriter, q request) bool {
	c.mu.Lock()
	c.seen[q.op]++
	refused := c.refuse != nil && c.refuse(q.op, q.key)
	c.mu.Unlock()
	switch {
	case refused && c.lost:
		w.Header().Set("X-Lost", "1")
	case refused:
		c.refusal(w, q.op)
	}
	return refused
}

func (c *cloud) list(ctx context.Context, q request) ([]*blob.ListObject, string, error) {
	token := blob.FirstPageToken
	if q.token != "" {
		token = []byte(q.token)
	}
	if q.size == 0 {
		q.size = 1000
	}
	page, next, err := c.inner.ListPage(ctx, token, q.size, &blob.ListOptions{Prefix: q.key, Delimiter: q.delimiter})
	return page, string(next), err
}

// put says whether an object is there already.
func (c *cloud) put(ctx context.Context, q request) (there bool, err error) {
	err = c.inner.WriteAll(ctx, q.key, q.body, &blob.WriterOptions{IfNotExist: q.ifAbsent})
	if gcerrors.Code(err) == gcerrors.FailedPrecondition {
		return true, nil
	}
	return false, err
}

// serveRange answers a read of an object that is there.
func serveRange(w http.ResponseWriter, r *http.Request, raw []byte, header string) {
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Last-Modified", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
	h.Set("Etag", `"e"`)
	from, to := 0, len(raw)
	if bounds, ok := strings.CutPrefix(r.Header.Get(header), "bytes="); ok {
		a, b, _ := strings.Cut(bounds, "-")
		from, _ = strconv.Atoi(a)
		if n, err := strconv.Atoi(b); err == nil {
			to = min(to, n+1)
		}
		if from >= len(raw) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(raw)))
		h.Set("Content-Length", strconv.Itoa(to-from))
		w.WriteHeader(http.StatusPartialContent)
	}
	if r.Method != http.MethodHead {
		_, _ = w.Write(raw[from:to])
	} else {
		h.Set("Content-Length", strconv.Itoa(len(raw)))
	}
}

func opOf(method string) string {
	return map[string]string{http.MethodGet: "get", http.MethodHead: "stat", http.MethodPut: "put", http.MethodDelete: "delete"}[method]
}

// xmlError answers as S3 and Azure do.
func xmlError(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/xml")
	w.Header().Set("x-ms-error-code", reason)
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>%s</Message></Error>", reason, reason)
}

// serveS3 is path-style: /bucket/key.
func serveS3(c *cloud, w http.ResponseWriter, r *http.Request) {
	key, _ := url.PathUnescape(strings.TrimPrefix(strings.TrimPrefix(r.URL.EscapedPath(), "/b"), "/"))
	query := r.URL.Query()
	q := request{op: opOf(r.Method), key: key, ifAbsent: r.Header.Get("If-None-Match") == "*"}
	if key == "" {
		q.op, q.key, q.delimiter, q.token = "list", query.Get("prefix"), query.Get("delimiter"), query.Get("continuation-token")
		q.size, _ = strconv.Atoi(query.Get("max-keys"))
	}
	q.body, _ = io.ReadAll(r.Body)
	if c.refuses(w, q) {
		return
	}
	switch q.op {
	case "list":
		type object struct {
			Key, LastModified string
			Size              int64
		}
		out := struct {
			XMLName               xml.Name `xml:"ListBucketResult"`
			IsTruncated           bool
			NextContinuationToken string `xml:",omitempty"`
			Contents              []object
			CommonPrefixes        []struct{ Prefix string }
		}{}
		page, next, _ := c.list(r.Context(), q)
		out.IsTruncated, out.NextContinuationToken = next != "", next
		for _, o := range page {
			if o.IsDir {
				out.CommonPrefixes = append(out.CommonPrefixes, struct{ Prefix string }{o.Key})
				continue
			}
			out.Contents = append(out.Contents, object{o.Key, o.ModTime.UTC().Format(time.RFC3339), o.Size})
		}
		_ = xml.NewEncoder(w).Encode(out)
	case "put":
		if there, err := c.put(r.Context(), q); there {
			xmlError(w, http.StatusPreconditionFailed, "PreconditionFailed")
		} else if err != nil {
			xmlError(w, http.StatusInternalServerError, err.Error())
		}
	default:
		c.object(w, r, q, "Range", func() { xmlError(w, http.StatusNotFound, "NoSuchKey") }, http.StatusNoContent)
	}
}

// object answers reads and deletes.
func (c *cloud) object(w http.ResponseWriter, r *http.Request, q request, header string, absent func(), deleted int) {
	raw, err := c.inner.ReadAll(r.Context(), q.key)
	switch {
	case err != nil:
		absent()
	case q.op == "delete":
		_ = c.inner.Delete(r.Context(), q.key)
		w.WriteHeader(deleted)
	default:
		serveRange(w, r, raw, header)
	}
}

// serveAzure is /container/key.
func serveAzure(c *cloud, w http.ResponseWriter, r *http.Request) {
	key, _ := url.PathUnescape(strings.TrimPrefix(strings.TrimPrefix(r.URL.EscapedPath(), "/b"), "/"))
	query := r.URL.Query()
	q := request{op: opOf(r.Method), key: key, ifAbsent: r.Header.Get("If-None-Match") == "*"}
	if query.Get("comp") == "list" {
		q.op, q.key, q.delimiter, q.token = "list", query.Get("prefix"), query.Get("delimiter"), query.Get("marker")
		q.size, _ = strconv.Atoi(query.Get("maxresults"))
	}
	q.body, _ = io.ReadAll(r.Body)
	if c.refuses(w, q) {
		return
	}
	w.Header().Set("x-ms-creation-time", time.Unix(1_700_000_000, 0).UTC().Format(http.TimeFormat))
	switch q.op {
	case "list":
		page, next, _ := c.list(r.Context(), q)
		var b strings.Builder
		for _, o := range page {
			if o.IsDir {
				fmt.Fprintf(&b, "<BlobPrefix><Name>%s</Name></BlobPrefix>", o.Key)
				continue
			}
			fmt.Fprintf(&b, "<Blob><Name>%s</Name><Properties><Last-Modified>%s</Last-Modified><Etag>e</Etag><Content-Length>%d</Content-Length></Properties></Blob>", o.Key, o.ModTime.UTC().Format(http.TimeFormat), o.Size)
		}
		w.Header().Set("Content-Type", "application/xml")
		_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?><EnumerationResults><Blobs>%s</Blobs><NextMarker>%s</NextMarker></EnumerationResults>", b.String(), next)
	case "put":
		if there, err := c.put(r.Context(), q); there {
			xmlError(w, http.StatusConflict, "BlobAlreadyExists")
		} else if err != nil {
			xmlError(w, http.StatusInternalServerError, err.Error())
		} else {
			w.WriteHeader(http.StatusCreated)
		}
	default:
		c.object(w, r, q, "X-Ms-Range", func() { xmlError(w, http.StatusNotFound, "BlobNotFound") }, http.StatusAccepted)
	}
}

func jsonError(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = fmt.Fprintf(w, `{"error":{"code":%d,"message":%q,"errors":[{"reason":"x","message":%q}]}}`, code, reason, reason)
}

// serveGoogle is the JSON API, and the XML API for reads.
func serveGoogle(c *cloud, w http.ResponseWriter, r *http.Request) {
	path, query := r.URL.EscapedPath(), r.URL.Query()
	q := request{}
	switch {
	case strings.HasPrefix(path, "/upload/"):
		q.op, q.ifAbsent = "put", query.Get("ifGenerationMatch") == "0"
		q.key, q.body = googleUpload(r)
	case path == "/b/b/o" || path == "/storage/v1/b/b/o":
		q.op, q.key, q.delimiter, q.token = "list", query.Get("prefix"), query.Get("delimiter"), query.Get("pageToken")
		q.size, _ = strconv.Atoi(query.Get("maxResults"))
	case strings.Contains(path, "/b/b/o/"):
		_, rest, _ := strings.Cut(path, "/b/b/o/")
		q.key, _ = url.PathUnescape(rest)
		if q.op = opOf(r.Method); q.op == "get" && query.Get("alt") != "media" {
			q.op = "stat"
		}
	default:
		q.op = "get"
		q.key, _ = url.PathUnescape(strings.TrimPrefix(path, "/b/"))
	}
	if c.refuses(w, q) {
		return
	}
	w.Header().Set("X-Goog-Generation", "1")
	w.Header().Set("X-Goog-Metageneration", "1")
	meta := func(key string, size int64, at time.Time) map[string]any {
		return map[string]any{"kind": "storage#object", "name": key, "bucket": "b", "size": strconv.FormatInt(size, 10), "updated": at.UTC().Format(time.RFC3339Nano), "generation": "1", "metageneration": "1"}
	}
	answer := func(v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	switch q.op {
	case "put":
		if there, _ := c.put(r.Context(), q); there {
			jsonError(w, http.StatusPreconditionFailed, "conditionNotMet")
			return
		}
		answer(meta(q.key, int64(len(q.body)), time.Now()))
	case "list":
		page, next, _ := c.list(r.Context(), q)
		out := map[string]any{"kind": "storage#objects", "nextPageToken": next}
		var items []any
		var dirs []string
		for _, o := range page {
			if o.IsDir {
				dirs = append(dirs, o.Key)
			} else {
				items = append(items, meta(o.Key, o.Size, o.ModTime))
			}
		}
		out["items"], out["prefixes"] = items, dirs
		answer(out)
	case "stat":
		if attrs, err := c.inner.Attributes(r.Context(), q.key); err == nil {
			answer(meta(q.key, attrs.Size, attrs.ModTime))
			return
		}
		jsonError(w, http.StatusNotFound, "No such object: b/"+q.key)
	default:
		c.object(w, r, q, "Range", func() { jsonError(w, http.StatusNotFound, "No such object: b/"+q.key) }, http.StatusNoContent)
	}
}

// googleUpload takes a multipart upload apart.
func googleUpload(r *http.Request) (key string, body []byte) {
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return "", nil
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	var m struct{ Name string }
	if p, err := parts.NextPart(); err == nil {
		_ = json.NewDecoder(p).Decode(&m)
	}
	if p, err := parts.NextPart(); err == nil {
		body, _ = io.ReadAll(p)
	}
	return m.Name, body
}
