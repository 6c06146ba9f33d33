package mm2

import (
	"bytes"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
)

var dumpLine = regexp.MustCompile(`^(\d+)@(\d+) ts=(\d+)/CreateTime key=([0-9a-f]*) value=([0-9a-f]*) headers:`)

// TestDumps decodes the records of a live MirrorMaker and encodes them again to the same bytes.
func TestDumps(t *testing.T) {
	codecs := []struct {
		name  string
		again func(key, value []byte) (k, v []byte, err error)
	}{
		{"offset-syncs", func(key, value []byte) ([]byte, []byte, error) { return again(DecodeOffsetSync(key, value)) }},
		{"checkpoints", func(key, value []byte) ([]byte, []byte, error) { return again(DecodeCheckpoint(key, value)) }},
		{"heartbeats", func(key, value []byte) ([]byte, []byte, error) { return again(DecodeHeartbeat(key, value)) }},
		{"mm2-offsets", func(key, value []byte) ([]byte, []byte, error) { return again(DecodeConnectOffset(key, value)) }},
	}
	files, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]int{}
	for _, f := range files {
		for _, c := range codecs {
			if strings.HasSuffix(f.Name(), ".txt") && strings.Contains(f.Name(), c.name) {
				read[c.name] += dump(t, f.Name(), c.again)
			}
		}
	}
	for _, c := range codecs {
		if read[c.name] == 0 {
			t.Errorf("no records of %s", c.name)
		}
	}
}

type encoder interface {
	Encode() (key, value []byte, err error)
}

func again[E encoder](e E, err error) ([]byte, []byte, error) {
	if err != nil {
		return nil, nil, err
	}
	return e.Encode()
}

// dump checks a file's records and says how many there were.
func dump(t *testing.T, name string, again func(key, value []byte) (k, v []byte, err error)) int {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(raw)) {
		m := dumpLine.FindStringSubmatch(line)
		if m == nil {
			t.Errorf("%s: %s", name, line)
			continue
		}
		key, value := unhex(t, m[4]), unhex(t, m[5])
		k, v, err := again(key, value)
		switch {
		case errors.Is(err, ErrOtherConnector):
			if !strings.HasPrefix(string(key), `["MirrorCheckpointConnector"`) && !strings.HasPrefix(string(key), `["MirrorHeartbeatConnector"`) {
				t.Errorf("%s: another connector: %s", name, key)
			}
			continue
		case err != nil || !bytes.Equal(k, key) || !bytes.Equal(v, value):
			t.Errorf("%s: %s: %q, %q, %v", name, line, k, v, err)
		}
		n++
	}
	return n
}
