package rawkafka

import (
	"context"
	"errors"
	"time"

	"github.com/kafkadr/kafkadr/internal/brokerconn"
)

// WrongClusterError says that another cluster answers at an address than the one that is meant:
// Want and Got are their IDs.
type WrongClusterError = brokerconn.WrongClusterError

// UnreachableError says that a broker can't be reached at the address that it advertises: Broker
// and Addr say which, Seeds how the cluster was found.
type UnreachableError = brokerconn.UnreachableError

// newGuard tells what its connections meet those who asked for it, else the log.
func newGuard(cfg Config) *brokerconn.Guard {
	g := brokerconn.Config{ClusterID: cfg.ClusterID, ClientID: cfg.ClientID, OnWrong: cfg.OnWrong, OnRight: cfg.OnRight, OnUnreachable: cfg.OnUnreachable}
	if g.OnWrong == nil {
		g.OnWrong = func(err *WrongClusterError) {
			cfg.Logger.Warn("another cluster answers; nothing of it is believed", "addr", err.Addr, "want", err.Want, "got", err.Got)
		}
	}
	if g.OnRight == nil {
		g.OnRight = func(addr string) { cfg.Logger.Info("the right cluster answers again", "addr", addr) }
	}
	if g.OnUnreachable == nil {
		g.OnUnreachable = func(err *UnreachableError) {
			cfg.Logger.Warn("a broker can't be reached at the address that it advertises", "broker", err.Broker, "addr", err.Addr, "seeds", err.Seeds, "err", err.Err)
		}
	}
	return brokerconn.New(g)
}

func isWrong(err error) bool {
	var wrong *WrongClusterError
	return errors.As(err, &wrong)
}

// Wrong is the latest answer of another cluster where no broker of the right one has answered
// since, for two seconds at least, and how long that is; else nil.
func (c *Cluster) Wrong() (*WrongClusterError, time.Duration) { return c.guard.Wrong() }

// strangerFor is how long a job that ends waits for the right cluster's answer while another one
// answers.
const strangerFor = 30 * time.Second

// Bounded is the context of a job that ends by itself. It is cancelled when another cluster has
// answered, and the right one hasn't for 30 s. The job hands its error to done: that is the
// *[WrongClusterError] then, and the error itself else.
func (c *Cluster) Bounded(ctx context.Context) (bounded context.Context, done func(error) error) {
	bounded, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for {
			select {
			case <-bounded.Done():
				return
			case <-look.C:
			}
			if wrong, silent := c.Wrong(); wrong != nil && silent >= strangerFor {
				cancel(wrong)
				return
			}
		}
	}()
	return bounded, func(err error) error {
		cancel(nil)
		<-ended
		var wrong *WrongClusterError
		if err != nil && ctx.Err() == nil && errors.As(context.Cause(bounded), &wrong) {
			return wrong
		}
		return err
	}
}
