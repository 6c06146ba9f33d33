// Command failoverclient shows what an application changes to survive the loss
// of its Kafka cluster: one type and one constructor, in app.go.
//
//	go run ./examples/failoverclient
//
// The rest is what an operator brings, here inside this process: two clusters
// with a mirror between, a register that says which is active, and a
// controller that changes that when the primary dies. Then it dies.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/failover/drill/drilltest"
	"github.com/kafkadr/kafkadr/failover/probe"
	"github.com/kafkadr/kafkadr/failover/register"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	err := run(ctx, os.Stdout)
	cancel()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failoverclient:", err)
		os.Exit(1)
	}
}

// lease is short, for a story that is. The default is 10 s.
const lease = 500 * time.Millisecond

func run(ctx context.Context, to io.Writer) error {
	out := &pen{to: to}
	pair, err := drilltest.NewPair()
	if err != nil {
		return err
	}
	defer pair.Close()
	mirror, err := pair.Mirror(ctx, "orders")
	if err != nil {
		return err
	}
	defer mirror.Close()

	reg := register.NewMemory()                                                                                                                   // for more than one process: bucket.Open
	if _, err := register.Begin(ctx, reg, "default", register.Epoch{Active: pair.Clusters()[0].Name, Lease: lease, By: "operator"}); err != nil { // once, for good
		return err
	}
	controller, err := control.New(control.Config{
		Clusters: pair.Clusters(), Register: reg, Lease: lease,
		Probe:  probe.Metadata(probe.MetadataConfig{}),
		Health: probe.Rule{Interval: 100 * time.Millisecond, Timeout: lease}, // 3 failures of 5 are a disaster
		Switch: control.SwitchConfig{Topics: []string{"orders"}, Replication: mirror},
		Hooks:  control.Hooks{OnReport: func(r *control.Report) { fmt.Fprintln(out, r) }},
	})
	if err != nil {
		return err
	}
	app, err := newApp(ctx, failover.Config{Clusters: pair.Clusters(), Register: reg, Lease: lease, Replay: &failover.Replay{}})
	if err != nil {
		return err
	}
	defer app.kafka.Close()
	return story(ctx, out, pair, controller, app)
}

// story runs the application, and kills the primary under it.
func story(ctx context.Context, out io.Writer, pair *drilltest.Pair, controller *control.Controller, app *app) error {
	work, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer stop()
	book := newBook()
	all.Go(func() { _ = controller.Run(work) })
	all.Go(func() { app.consume(work, book.bill) })
	producing, enough := context.WithCancel(ctx)
	defer enough()
	all.Go(func() { app.produce(producing, book.ack) })

	if err := book.wait(ctx, func() bool { return book.billed >= 100 }); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d orders are billed. The primary dies.\n", book.count())
	if err := pair.Inject(ctx, drill.Fault{Kind: drill.Kill, On: drill.Primary}); err != nil {
		return err
	}
	before := book.count()
	if err := book.wait(ctx, func() bool { return book.billed >= before+100 }); err != nil {
		return err
	}
	fmt.Fprintf(out, "%d orders are billed, the last of them on the standby.\n", book.count())
	enough()
	if err := app.kafka.Flush(ctx); err != nil {
		return err
	}
	if err := book.wait(ctx, book.complete); err != nil {
		return fmt.Errorf("orders were lost: %w", err)
	}
	fmt.Fprintf(out, "Every order that was acked is billed: %d of %d.\n", book.count(), book.count())
	return nil
}

// pen lets the story and the controller write, one at a time.
type pen struct {
	mu sync.Mutex
	to io.Writer
}

func (p *pen) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to.Write(b)
}

// book holds which orders were acked, and which are billed.
type book struct {
	mu            sync.Mutex
	acked, orders map[string]bool
	billed        int
	changed       chan struct{}
}

func newBook() *book {
	return &book{acked: map[string]bool{}, orders: map[string]bool{}, changed: make(chan struct{})}
}

func (b *book) note(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *book) ack(order string) { b.note(func() { b.acked[order] = true }) }
func (b *book) bill(order string) {
	b.note(func() { b.orders[order] = true; b.billed = len(b.orders) })
}

func (b *book) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.billed
}

// complete says that all that were acked are billed.
func (b *book) complete() bool {
	for order := range b.acked {
		if !b.orders[order] {
			return false
		}
	}
	return true
}

// wait returns when something is so.
func (b *book) wait(ctx context.Context, so func() bool) error {
	for {
		b.mu.Lock()
		done, changed := so(), b.changed
		b.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return errors.Join(errors.New("the story takes too long"), context.Cause(ctx))
		}
	}
}
