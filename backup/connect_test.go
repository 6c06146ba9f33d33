package backup_test

import (
	"errors"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"gocloud.dev/blob/memblob"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/storage"
)

func TestUnreachableIsTyped(t *testing.T) {
	bucket := memblob.OpenBucket(nil)
	defer bucket.Close()
	archive, err := storage.Open(t.Context(), bucket, storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = backup.Run(t.Context(), backup.Config{Source: []kgo.Opt{kgo.SeedBrokers("127.0.0.1:1")}, Archive: archive})
	var connect *backup.ConnectError
	if !errors.As(err, &connect) || connect.Kind != "unreachable" {
		t.Errorf("error %v, want a *backup.ConnectError of kind unreachable", err)
	}
}
