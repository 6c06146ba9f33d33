package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob"
	_ "gocloud.dev/blob/s3blob" // the MinIO line

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/mirror"
	"github.com/kafkadr/kafkadr/restore"
	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/filestore"
)

// job is one measured piece of work, run in a process of its own.
type job struct {
	Kind    string
	Brokers []string
	// To are the standby's.
	To    []string
	Topic string
	// Prefix names the restored or mirrored topic; Target the limit's.
	Prefix, Target string
	// Dir is a directory, Bucket a bucket URL.
	Dir, Bucket string
	// Client is the one that an application has: kgo, failover or replay. It produces or consumes
	// so many Records, with values of Size bytes.
	Client        string
	Size, Records int
}

// measure is what a job cost.
type measure struct {
	Bytes int64
	Wall  time.Duration
	CPU   time.Duration
	// PeakKiB is the process's largest resident set.
	PeakKiB int64
	// Whole is the CPU time of the process from its start, where CPU leaves that out.
	Whole time.Duration
}

const jobEnv = "KAFKADR_BENCH_JOB"

// TestMain runs a job where the environment names one, else the tests.
func TestMain(m *testing.M) {
	spec := os.Getenv(jobEnv)
	if spec == "" {
		os.Exit(m.Run())
	}
	var j job
	if err := json.Unmarshal([]byte(spec), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	got, err := j.do(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		os.Exit(1)
	}
}

// run starts the job in its own process and waits for it.
func (j job) run(t *testing.T) measure {
	t.Helper()
	spec, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), jobEnv+"="+string(spec))
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", j.Kind, err, errs.String())
	}
	var m measure
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatalf("%s: %v: %s", j.Kind, err, out)
	}
	return m
}

// peakKiB is the largest resident set of this process. (getrusage would count that of the process
// that started it.)
func peakKiB() (n int64) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			_, _ = fmt.Sscan(rest, &n)
		}
	}
	return n
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (j job) do(ctx context.Context) (m measure, err error) {
	opts := []kgo.Opt{kgo.SeedBrokers(j.Brokers...)}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return m, err
	}
	defer cl.Close()
	stop, err := j.profile()
	if err != nil {
		return m, err
	}
	defer stop()
	start, cpu := time.Now(), cpuTime()
	switch j.Kind {
	case "limit-backup":
		m.Bytes, err = limitBackup(ctx, cl, j.Topic, j.Dir)
	case "backup":
		m.Bytes, err = j.backup(ctx, opts)
	case "prebuild":
		m.Bytes, err = prebuild(ctx, cl, j.Topic, j.Dir)
	case "limit-restore":
		m.Bytes, err = limitRestore(ctx, cl, j.Dir, j.Target)
	case "restore":
		m.Bytes, err = j.restore(ctx, opts)
	case "mirror":
		m.Bytes, err = j.mirror(ctx, opts)
	case "limit-verify":
		m.Bytes, err = limitVerify(j.Dir)
	case "verify":
		m.Bytes, err = j.verify(ctx)
	case "limit-upload":
		m.Bytes, err = j.upload(ctx)
	case "produce":
		m.Bytes, err = j.produceAll(ctx)
	case "consume":
		m.Bytes, err = j.consumeAll(ctx)
	default:
		err = fmt.Errorf("no such job: %s", j.Kind)
	}
	m.Wall, m.CPU, m.PeakKiB = time.Since(start), cpuTime()-cpu, peakKiB()
	return m, err
}

// profile writes a CPU profile of the job where KAFKADR_BENCH_PROFILE names a directory.
func (j job) profile() (stop func(), err error) {
	dir := os.Getenv("KAFKADR_BENCH_PROFILE")
	if dir == "" {
		return func() {}, nil
	}
	f, err := os.Create(filepath.Join(dir, j.profileName()+".prof"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

func (j job) archive(ctx context.Context) (*storage.Archive, func(), error) {
	var b *blob.Bucket
	var err error
	if j.Bucket != "" {
		b, err = blob.OpenBucket(ctx, j.Bucket)
	} else {
		b, err = filestore.OpenBucket(j.Dir, nil)
	}
	if err != nil {
		return nil, nil, err
	}
	a, err := storage.Open(ctx, b, storage.Config{})
	return a, func() { b.Close() }, err
}

func (j job) backup(ctx context.Context, opts []kgo.Opt) (int64, error) {
	a, done, err := j.archive(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	res, err := backup.Run(ctx, backup.Config{Source: opts, Archive: a, Topics: []string{j.Topic}})
	if err != nil {
		return 0, err
	}
	return res.Bytes, nil
}

func (j job) restore(ctx context.Context, opts []kgo.Opt) (int64, error) {
	a, done, err := j.archive(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	s, err := a.Latest(ctx, nil)
	if err != nil {
		return 0, err
	}
	plan, err := restore.NewPlan(ctx, restore.Config{Target: opts, Snapshot: s, Prefix: j.Prefix, SameCluster: true})
	if err != nil {
		return 0, err
	}
	res, err := plan.Run(ctx)
	if err != nil {
		return 0, err
	}
	return res.Bytes, nil
}

func (j job) mirror(ctx context.Context, opts []kgo.Opt) (int64, error) {
	m, err := mirror.New(mirror.Config{
		Source: opts, Target: []kgo.Opt{kgo.SeedBrokers(j.To...)}, Topics: []string{j.Topic}, Prefix: j.Prefix, Name: "bench-" + j.Prefix + j.Topic, Once: true,
	})
	if err != nil {
		return 0, err
	}
	err = m.Run(ctx)
	return m.Status().Bytes, err
}

func (j job) verify(ctx context.Context) (int64, error) {
	a, done, err := j.archive(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	s, err := a.Latest(ctx, nil)
	if err != nil {
		return 0, err
	}
	r, err := backup.Verify(ctx, a, s, backup.VerifyOptions{})
	if err != nil {
		return 0, err
	}
	if len(r.Problems) > 0 {
		return 0, fmt.Errorf("verify found %d problems, the first: %+v", len(r.Problems), r.Problems[0])
	}
	return r.Bytes, nil
}

// upload fetches the topic raw and uploads it as objects of a segment's
// size, one after the other.
func (j job) upload(ctx context.Context) (int64, error) {
	b, err := blob.OpenBucket(ctx, j.Bucket)
	if err != nil {
		return 0, err
	}
	defer b.Close()
	entries, err := os.ReadDir(j.Dir)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, e := range entries {
		m, err := uploadFile(ctx, b, j.Dir+"/"+e.Name(), "plain/"+j.Prefix+e.Name())
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

func uploadFile(ctx context.Context, b *blob.Bucket, path, key string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	w, err := b.NewWriter(ctx, key, nil)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, f)
	if e := w.Close(); err == nil {
		err = e
	}
	return n, err
}
