package offsets

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/brokerconn"
)

// WrongClusterError says that another cluster answers at an address than the one that is meant:
// Want and Got are their IDs. A client made of [SameCluster] options believes nothing of it, and
// sends it nothing that changes something.
type WrongClusterError = brokerconn.WrongClusterError

// SameCluster are the options of a client whose connections all lead to the cluster of that ID, or,
// where it is empty, to the one that answers first; to any other they fail with a
// *[WrongClusterError]. A dialer and TLS among the options are kept. Each call's clients share what
// is learned. An error is that of options that [kgo.NewClient] refuses.
func SameCluster(opts []kgo.Opt, clusterID string) ([]kgo.Opt, error) {
	return brokerconn.New(brokerconn.Config{ClusterID: clusterID, ClientID: "kafkadr"}).Opts(opts)
}
