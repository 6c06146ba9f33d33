package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// look is one call of a probe.
type look struct {
	probe  string
	target Target
	login  loginHook
}

func (l *look) fault(k Kind, err error) *Fault {
	return &Fault{Kind: k, Cluster: l.target.Name, Probe: l.probe, Err: err}
}

// failed is the fault that a client's error is.
func (l *look) failed(err error) error {
	var f *Fault
	if errors.As(err, &f) {
		return f
	}
	k := classify(err)
	if k == Unreachable && (l.login.failed.Load() || l.login.begun.Load() && !isNetwork(err)) {
		k = Auth // some brokers hang up on a wrong password; a mechanism's own error is of no type
	}
	return l.fault(k, err)
}

// client lives until ctx ends or it is closed. It sends nothing by itself.
func (l *look) client(ctx context.Context, addrs ...string) (*kgo.Client, error) {
	opts := append(slices.Clone(l.target.Opts), kgo.WithContext(ctx), kgo.WithHooks(&l.login))
	if len(addrs) > 0 {
		opts = append(opts, kgo.SeedBrokers(addrs...))
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, l.fault(Config, err)
	}
	return cl, nil
}

// ended is what a probe returns instead of err where its context was cancelled, and didn't run out.
func ended(ctx context.Context, err error) error {
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// first calls f for each at once and returns the first result without an error, or the gravest
// fault. The others are cancelled, and waited for.
func first[T, R any](ctx context.Context, l *look, each []T, f func(context.Context, T) (R, error)) (R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		good *R
		errs []error
	)
	for _, e := range each {
		wg.Go(func() {
			r, err := f(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				errs = append(errs, l.failed(err))
			case good == nil:
				good = &r
				cancel()
			}
		})
	}
	wg.Wait()
	if good != nil {
		return *good, nil
	}
	var none R
	for _, k := range gravity {
		for _, err := range errs {
			if KindOf(err) == k {
				return none, err
			}
		}
	}
	return none, l.fault(Config, errors.New("no broker to ask"))
}

// metadata asks all seed brokers at once, because one that hangs must not hide that others answer.
// nil topics are all.
func (l *look) metadata(ctx context.Context, topics []string, check func(*kmsg.MetadataResponse) error) (*kmsg.MetadataResponse, error) {
	cl, err := l.client(ctx)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	return first(ctx, l, cl.SeedBrokers(), func(ctx context.Context, b *kgo.Broker) (*kmsg.MetadataResponse, error) {
		resp, err := b.Request(ctx, metadataRequest(topics))
		if err != nil {
			return nil, err
		}
		md := resp.(*kmsg.MetadataResponse)
		if err := kerr.ErrorForCode(md.ErrorCode); err != nil {
			return nil, err
		}
		return md, check(md)
	})
}

func metadataRequest(topics []string) *kmsg.MetadataRequest {
	req := kmsg.NewPtrMetadataRequest()
	if topics != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = kmsg.StringPtr(t)
		req.Topics = append(req.Topics, rt)
	}
	return req
}

// loginHook notes that a broker let a login begin, and that one broke it off.
type loginHook struct{ begun, failed atomic.Bool }

// OnBrokerRead implements [kgo.HookBrokerRead].
func (h *loginHook) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, err error) {
	switch {
	case err == nil && key == int16(kmsg.SASLHandshake):
		h.begun.Store(true)
	case err != nil && key == int16(kmsg.SASLAuthenticate) && !errors.Is(err, context.Canceled) && !errors.Is(err, net.ErrClosed) && !isTimeout(err):
		h.failed.Store(true)
	}
}

// isNetwork says whether an error is the network's, or a broker's answer.
func isNetwork(err error) bool {
	var (
		op     *net.OpError
		answer *kerr.Error
	)
	return errors.As(err, &op) || errors.As(err, &answer) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
