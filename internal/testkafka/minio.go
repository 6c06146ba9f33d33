package testkafka

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const minioInstall = "go install github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c (about 5 minutes), or set KAFKADR_MINIO to the binary"

// S3 is a MinIO server with an empty bucket.
type S3 struct {
	// Endpoint is the server's base URL.
	Endpoint string
	// Bucket is the bucket's name.
	Bucket string
	// URL opens the bucket with gocloud.dev/blob/s3blob; more parameters may be appended with '&'.
	URL string
	// Env are the credentials, as environment variables, for other processes. The test's own
	// environment has them already.
	Env []string
	// Dir is where the server keeps its objects.
	Dir string

	proc *proc
}

// MinIO starts a MinIO server, ended with the test, and puts its credentials into the test's
// environment (so the test can't be parallel). Without the binary ($KAFKADR_MINIO, then PATH, then
// where go install puts it) the test is skipped, or fails where KAFKADR_REQUIRE holds "minio".
func MinIO(t testing.TB) *S3 {
	t.Helper()
	bin := findMinIO()
	if bin == "" {
		Missing(t, "minio", minioInstall)
	}
	OtherProcesses(t)
	ports, err := freePorts(1)
	if err != nil {
		t.Fatalf("testkafka: %v", err)
	}
	dir := t.TempDir()
	s := &S3{Endpoint: fmt.Sprintf("http://127.0.0.1:%d", ports[0]), Bucket: "kafkadr", Dir: filepath.Join(dir, "data")}
	s.URL = fmt.Sprintf("s3://%s?region=us-east-1&use_path_style=true&endpoint=%s", s.Bucket, url.QueryEscape(s.Endpoint))
	user, password := "kafkadr", newID()
	s.Env = []string{"AWS_ACCESS_KEY_ID=" + user, "AWS_SECRET_ACCESS_KEY=" + password, "AWS_EC2_METADATA_DISABLED=true"}
	t.Setenv("AWS_ACCESS_KEY_ID", user)
	t.Setenv("AWS_SECRET_ACCESS_KEY", password)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	s.start(t, bin, filepath.Join(dir, "minio.log"), fmt.Sprintf("127.0.0.1:%d", ports[0]), user, password)
	s.createBucket(t, user, password)
	return s
}

// Pause freezes the server until Resume is called.
func (s *S3) Pause() error { return freeze(s.proc.cmd.Process) }

// Resume ends a pause.
func (s *S3) Resume() error { return thaw(s.proc.cmd.Process) }

func (s *S3) start(t testing.TB, bin, log, addr, user, password string) {
	t.Helper()
	out, err := os.Create(log)
	if err != nil {
		t.Fatalf("testkafka: %v", err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(bin, "server", "--quiet", "--address", addr, "--console-address", "127.0.0.1:0", s.Dir)
	cmd.Env = append(os.Environ(), "MINIO_ROOT_USER="+user, "MINIO_ROOT_PASSWORD="+password, "MINIO_BROWSER=off", "MINIO_UPDATE=off",
		"HOME="+filepath.Dir(log))
	cmd.Stdout, cmd.Stderr = out, out
	if s.proc, err = startProc(cmd); err != nil {
		t.Fatalf("testkafka: minio: %v", err)
	}
	t.Cleanup(func() {
		s.proc.kill()
		if t.Failed() {
			t.Logf("testkafka: the end of MinIO's output:\n%s", tailFile(log))
		}
	})
	Eventually(t, time.Minute, func(ctx context.Context) error {
		if !s.proc.running() {
			return permanent{fmt.Errorf("minio ended: %w\n%s", s.proc.err, tailFile(log))}
		}
		return s.ready(ctx)
	})
}

func (s *S3) ready(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/minio/health/ready", nil)
	if err != nil {
		return err
	}
	return status(req)
}

// status does the request and wants a 200. The connection isn't kept.
func status(req *http.Request) error {
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, resp.Status)
	}
	return nil
}

func findMinIO() string {
	if bin := os.Getenv("KAFKADR_MINIO"); bin != "" {
		return bin
	}
	if bin, err := exec.LookPath("minio"); err == nil {
		return bin
	}
	home, _ := os.UserHomeDir()
	for _, dir := range []string{os.Getenv("GOBIN"), filepath.Join(os.Getenv("GOPATH"), "bin"), filepath.Join(home, "go", "bin")} {
		bin := filepath.Join(dir, "minio")
		if st, err := os.Stat(bin); filepath.IsAbs(bin) && err == nil && st.Mode().IsRegular() {
			return bin
		}
	}
	return ""
}
