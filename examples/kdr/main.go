// Command kdr backs Kafka clusters up and restores them.
package main

import (
	_ "github.com/kafkadr/kafkadr/backup"
	_ "github.com/kafkadr/kafkadr/restore"
	_ "github.com/kafkadr/kafkadr/storage"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/prometheus/client_golang/prometheus/promhttp"
	_ "github.com/spf13/cobra"
	_ "github.com/spf13/pflag"
	_ "github.com/twmb/franz-go/pkg/sasl/scram"
	_ "gocloud.dev/blob/azureblob"
	_ "gocloud.dev/blob/gcsblob"
	_ "gocloud.dev/blob/memblob"
	_ "gocloud.dev/blob/s3blob"
	_ "golang.org/x/term"
)

func main() {}
