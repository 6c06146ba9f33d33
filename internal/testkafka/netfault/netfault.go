// Package netfault puts a network that can be broken between some clients and a cluster's brokers:
// toxiproxy, in the test's own process, one proxy for each broker. The cluster knows nothing of it:
// its brokers talk to each other as before, and so do clients without [Net.Opts].
//
// It is a package of its own so that only tests that break networks are built with toxiproxy.
package netfault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// Net is the network between a cluster and the clients that have its [Net.Opts]. Faults add up
// until [Net.Heal]. Methods are for one goroutine.
type Net struct {
	cl     testkafka.Cluster
	server *toxiproxy.ApiServer
	wires  []*wire
	stop   func()       // ends the resets of Lossy
	resets atomic.Int64 // how many there were
}

// wire is the way to one broker.
type wire struct {
	broker      int32
	addr        string     // the broker's own
	listen      string     // the proxy's
	mu          sync.Mutex // held while the proxy is taken down or up
	proxy       *toxiproxy.Proxy
	toxic, dead bool // it has toxics; it is down
}

// New makes a network to cl, without a fault, that ends with the test. cl must not be a
// [testkafka.Secured], nor live on a network in memory.
func New(t testing.TB, cl testkafka.Cluster) *Net {
	t.Helper()
	if _, ok := cl.(testkafka.Secured); ok {
		t.Fatal("netfault: no network to a secured cluster: kgo dials either through TLS or through a function")
	}
	zerolog.SetGlobalLevel(zerolog.Disabled) // some of toxiproxy logs to the process's own logger
	n := &Net{cl: cl, stop: func() {}, server: toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())}
	t.Cleanup(n.close)
	addrs := cl.Addrs()
	for i, b := range cl.Brokers() {
		w, err := n.wire(b, addrs[i])
		if err != nil {
			t.Fatalf("netfault: proxy for broker %d: %v", b, err)
		}
		n.wires = append(n.wires, w)
	}
	return n
}

// wire listens on a port below the range that the kernel gives to outgoing connections, so that it
// stays free while the proxy is down.
func (n *Net) wire(broker int32, addr string) (*wire, error) {
	for try := 1; ; try++ {
		w := &wire{broker: broker, addr: addr, listen: fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(22_000))}
		w.proxy = n.proxy(w)
		if err := w.proxy.Start(); err == nil || try == 100 {
			return w, err
		}
	}
}

// proxy is a new one, without a fault and not started.
func (n *Net) proxy(w *wire) *toxiproxy.Proxy {
	return toxiproxy.NewProxy(n.server, fmt.Sprintf("%s-%d", n.cl.ID(), w.broker), w.listen, w.addr)
}

func (n *Net) close() {
	n.stop()
	for _, w := range n.wires {
		w.proxy.Stop()
	}
}

// Opts are those of a client with all rights whose every connection goes through the network.
func (n *Net) Opts() []kgo.Opt {
	return append(n.cl.Opts(), kgo.Dialer(Dial(n.Via())))
}

// Via are the proxies' addresses by the brokers' own, for a process of its own: there, [Dial] makes
// the dialer of it.
func (n *Net) Via() map[string]string {
	via := map[string]string{}
	for _, w := range n.wires {
		via[w.addr] = w.listen
	}
	return via
}

// Dial is a function for [kgo.Dialer] that reaches a broker by the address that via has for the
// broker's own. Clients learn the brokers' own addresses from the cluster; one that via lacks is an
// error, so that nothing goes round the network.
func Dial(via map[string]string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		proxy, ok := via[addr]
		if !ok {
			return nil, fmt.Errorf("netfault: %s is no broker's address", addr)
		}
		d := net.Dialer{Timeout: 10 * time.Second}
		return d.DialContext(ctx, network, proxy)
	}
}

// of are the wires of the brokers; without any, all.
func (n *Net) of(t testing.TB, brokers []int32) []*wire {
	t.Helper()
	if len(brokers) == 0 {
		return n.wires
	}
	var ws []*wire
	for _, b := range brokers {
		i := slices.IndexFunc(n.wires, func(w *wire) bool { return w.broker == b })
		if i < 0 {
			t.Fatalf("netfault: no broker %d", b)
		}
		ws = append(ws, n.wires[i])
	}
	return ws
}

// down closes all connections and refuses new ones.
func (w *wire) down() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.proxy.Stop()
	w.dead = true
}

// heal takes the proxy up where it is down, and puts a new one in its place where it has toxics:
// toxiproxy may wait for ever when it takes a toxic from a connection that has ended.
func (w *wire) heal(fresh func(*wire) *toxiproxy.Proxy) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.toxic {
		w.proxy.Stop()
		w.proxy = fresh(w)
	}
	if !w.toxic && !w.dead {
		return nil
	}
	w.toxic, w.dead = false, false
	return w.proxy.Start()
}

// reset closes all connections.
func (w *wire) reset() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		return nil
	}
	w.proxy.Stop()
	err := w.proxy.Start()
	w.dead = err != nil
	return err
}
