package brokerconn

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"
)

var errNoDialer = errors.New("brokerconn: this version of kgo doesn't tell its dialer")

// Opts are the options, with a dialer that has the guard above the one that they describe: a
// [kgo.Dialer] among them is wrapped, and so is TLS ([kgo.DialTLSConfig]). No hook among them is
// called. An error is that of options that [kgo.NewClient] refuses.
func (g *Guard) Opts(opts []kgo.Opt) ([]kgo.Opt, error) {
	took, err := optionsOf(opts)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.seeds = took.seeds
	g.mu.Unlock()
	return append(opts[:len(opts):len(opts)], kgo.Dialer(g.Dialer(took.dial)), kgo.DialTLSConfig(nil)), nil
}

// optionsOf are what a client of these options would have. kgo tells them of a client only.
// NewClient calls the hooks of new clients in order, before it starts anything: the first one takes
// the options and ends NewClient there.
func optionsOf(opts []kgo.Opt) (took optionsHook, err error) {
	defer func() {
		if took.stopped {
			_ = recover()
			err = nil
			if took.dial == nil {
				err = errNoDialer
			}
		}
	}()
	dead, cancel := context.WithCancel(context.Background())
	cancel()
	all := append([]kgo.Opt{kgo.WithHooks(&took)}, opts...)
	cl, err := kgo.NewClient(append(all, kgo.WithContext(dead))...)
	if err != nil {
		return took, fmt.Errorf("brokerconn: client options: %w", err)
	}
	cl.Close()
	return took, errNoDialer
}

// optionsHook takes the options of a client and ends its making.
type optionsHook struct {
	dial    DialFunc
	seeds   []string
	stopped bool
}

// OnNewClient implements kgo.HookNewClient.
func (h *optionsHook) OnNewClient(cl *kgo.Client) {
	h.dial, _ = cl.OptValue(kgo.Dialer).(DialFunc)
	h.seeds, _ = cl.OptValue(kgo.SeedBrokers).([]string)
	h.stopped = true
	panic(h)
}
