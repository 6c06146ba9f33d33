package restoretest_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"github.com/kafkadr/kafkadr/restore/restoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(dir + "/" + path)
		all[path] = string(raw)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An archive is three files, the same each time.
func TestWriteIsDeterministic(t *testing.T) {
	var made []map[string]string
	for range 2 {
		dir := t.TempDir()
		restoretest.Write(t, dir,
			restoretest.Topic{Name: "b", Partitions: 3, Records: []*kgo.Record{{Value: []byte("x")}, {Partition: 2, Value: []byte("y")}}},
			restoretest.Topic{Name: "a", Configs: map[string]string{"cleanup.policy": "compact"}, Groups: map[string]map[int32]int64{"g": {0: 0}}},
		)
		made = append(made, files(t, dir))
	}
	if diff := cmp.Diff(made[0], made[1]); diff != "" {
		t.Error(diff)
	}
	if len(made[0]) > 3 {
		t.Errorf("%d files", len(made[0]))
	}
}
