package exactcopy

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/rawkafka"
)

// Method is how holes are made on a target.
type Method string

// Methods of making holes.
const (
	// Markers are control records that the partition's leader is asked to write (WriteTxnMarkers),
	// all of them in one request.
	Markers Method = "write_txn_markers"
	// Transactions are empty ones, one for each offset: weaker and slower, for targets that deny
	// ClusterAction and Alter on Cluster, or don't know WriteTxnMarkers.
	Transactions Method = "transactions"
)

// Method says how holes are made. It tries, once, whether markers may be written, with one for a
// topic that doesn't exist: nothing comes of it.
func (c *Copier) Method(ctx context.Context) (Method, error) {
	c.mu.Lock()
	m := c.method
	c.mu.Unlock()
	if m != "" {
		return m, nil
	}
	req := kmsg.NewPtrWriteTxnMarkersRequest()
	req.Markers = append(req.Markers, marker(1<<62, 0, "kafkadr.no.such.topic", 0))
	resp, err := anyone(ctx, c, "write txn markers", req)
	switch {
	case rawkafka.Unsupported(err):
		m = Transactions
	case err != nil:
		return "", fmt.Errorf("exactcopy: write txn markers: %w", err)
	default:
		m = Markers
		for _, err := range markerErrors(resp.(*kmsg.WriteTxnMarkersResponse)) {
			if rawkafka.Denies(err) {
				m = Transactions
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.method = m
	return m, nil
}
