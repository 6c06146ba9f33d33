package testkafka

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"
	"time"
)

const kcatInstall = "apt-get install kcat (Debian), brew install kcat (macOS)"

// Kcat reads topics with kcat, a client of another family (librdkafka), at read_committed or
// read_uncommitted, to where kcat sees the end. Compare what it returns with
// [Comparison.HeaderText]. It skips the test where kcat is missing, or fails it where
// KAFKADR_REQUIRE holds "kcat".
//
// kcat doesn't tell log start and end offsets: they are taken from like, which also names the
// topics and partitions.
func Kcat(t testing.TB, cl Cluster, like *Content, isolation string) *Content {
	t.Helper()
	bin, err := exec.LookPath("kcat")
	if err != nil {
		Missing(t, "kcat", kcatInstall)
	}
	OtherProcesses(t)
	addrs := kcatAddrs(t, cl)
	out := &Content{Topics: map[string]map[int32]*Partition{}}
	for topic, ps := range like.Topics {
		out.Topics[topic] = map[int32]*Partition{}
		for p, part := range ps {
			k := kcat{bin: bin, args: kcatArgs(addrs, topic, p, isolation), mark: newID()}
			recs, err := k.read(t.Context())
			if err != nil {
				t.Fatalf("testkafka: kcat %s/%d: %v", topic, p, err)
			}
			out.Topics[topic][p] = &Partition{Start: part.Start, End: part.End, Records: recs}
		}
	}
	return out
}

func kcatArgs(addrs []string, topic string, partition int32, isolation string) []string {
	return []string{"-C", "-q", "-e", "-b", strings.Join(addrs, ","), "-t", topic, "-p", fmt.Sprint(partition), "-o", "beginning",
		"-X", "isolation.level=" + isolation, "-X", "broker.address.family=v4", "-X", "check.crcs=true", "-X", "fetch.wait.max.ms=20"}
}

// kcatAddrs are addresses that kcat can use: librdkafka 2.0, which Debian 12 has, asks for a SASL
// handshake of version 0, which Kafka 4 (and kfake) no longer knows. A secure real cluster has an
// internal listener without SASL.
func kcatAddrs(t testing.TB, cl Cluster) []string {
	t.Helper()
	switch c := cl.(type) {
	case *securedCluster:
		var as []string
		for _, b := range c.brokers {
			as = append(as, fmt.Sprintf("127.0.0.1:%d", b.internalPort))
		}
		return as
	case Secured:
		t.Skip("kcat can't log in to kfake")
	}
	return cl.Addrs()
}

type kcat struct {
	bin  string
	args []string
	mark string // ends each record: kcat tells the lengths of key and value, not of the headers
}

func (k kcat) read(ctx context.Context) ([]Record, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, k.bin, append(k.args, "-f", "%o %T %K %S %k%s%h"+k.mark)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	recs, err := k.parse(bufio.NewReader(stdout))
	_, _ = io.Copy(io.Discard, stdout)
	if werr := cmd.Wait(); werr != nil {
		err = errors.Join(err, fmt.Errorf("%w: %s", werr, stderr.Bytes()))
	}
	return recs, err
}

func (k kcat) parse(r *bufio.Reader) ([]Record, error) {
	var recs []Record
	for {
		rec, err := k.record(r)
		if errors.Is(err, io.EOF) {
			return recs, nil
		}
		if err != nil {
			return recs, err
		}
		recs = append(recs, rec)
	}
}

// record parses one; io.EOF only where none begins.
func (k kcat) record(r *bufio.Reader) (Record, error) {
	var rec Record
	var keyLen, valueLen int
	if _, err := r.Peek(1); err != nil {
		return rec, err
	}
	for _, n := range []any{&rec.Offset, &rec.Timestamp, &keyLen, &valueLen} {
		word, err := r.ReadString(' ')
		if err != nil {
			return rec, errors.New("output ends inside a record")
		}
		if _, err := fmt.Sscan(word, n); err != nil {
			return rec, err
		}
	}
	var err error
	if rec.Key, err = sumNext(r, keyLen); err == nil {
		rec.Value, err = sumNext(r, valueLen)
	}
	if err != nil {
		return rec, errors.New("output ends inside a record")
	}
	var headers []byte
	for !bytes.HasSuffix(headers, []byte(k.mark)) {
		b, err := r.ReadByte()
		if err != nil {
			return rec, errors.New("output ends inside a record's headers")
		}
		headers = append(headers, b)
	}
	rec.HeaderText = sum(headers[:len(headers)-len(k.mark)])
	return rec, nil
}

// sumNext digests the next n bytes; -1 is null.
func sumNext(r io.Reader, n int) (uint64, error) {
	if n < 0 {
		return 0, nil
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return sum(b), err
}
