package testkafka

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func (l *loader) transactions() {
	topic := l.create("hard.transactions", 2, noRetention...)
	l.interleave(topic)
	for p := range int32(2) { // transactions that end nothing but themselves: a marker at the very end
		tx := l.transactional(topic + "-last")
		l.begin(tx)
		l.batch(tx, l.records(topic, p, 0, 2)...)
		l.end(tx, p == 0)
		tx.Close()
	}
}

func (l *loader) open() {
	topic := l.create("hard.open", 1, noRetention...)
	l.interleave(topic)
	tx := l.transactional(topic + "-open")
	l.begin(tx)
	l.batch(tx, l.records(topic, 0, 0, 3)...)
	tx.Close() // the transaction stays, until the coordinator's timeout
	c := l.producer()
	defer c.Close()
	l.batch(c, l.records(topic, 0, 0, 3)...)
	other := l.transactional(topic + "-behind")
	defer other.Close()
	l.begin(other)
	l.batch(other, l.records(topic, 0, 0, 2)...)
	l.end(other, false)
	l.topics[len(l.topics)-1].Open = true
}

// interleave runs three transactional producers in turn, each at another place of its transaction,
// and one without transactions.
func (l *loader) interleave(topic string) {
	plain := l.producer()
	defer plain.Close()
	txs := make([]*kgo.Client, 3)
	inside := make([]bool, len(txs))
	for i := range txs {
		txs[i] = l.transactional(fmt.Sprintf("%s-%d", topic, i))
	}
	defer closeAll(txs)
	partitions := int(l.topics[len(l.topics)-1].Partitions)
	for n := 0; n < l.Records; {
		i := l.rng.IntN(len(txs) + 1)
		size := 1 + l.rng.IntN(6)
		recs := l.records(topic, int32(l.rng.IntN(partitions)), n, size)
		n += size
		if i == len(txs) {
			l.batch(plain, recs...)
			continue
		}
		if !inside[i] {
			l.begin(txs[i])
		}
		inside[i] = true
		l.batch(txs[i], recs...)
		if l.rng.IntN(4) == 0 {
			l.end(txs[i], l.rng.IntN(5) < 3)
			inside[i] = false
		}
	}
	for i, tx := range txs {
		if inside[i] {
			l.end(tx, i != 1)
		}
	}
}

func (l *loader) transactional(id string) *kgo.Client {
	l.Helper()
	return l.producer(kgo.TransactionalID(id), kgo.TransactionTimeout(10*time.Minute))
}

func (l *loader) begin(c *kgo.Client) {
	l.Helper()
	if err := c.BeginTransaction(); err != nil {
		l.Fatalf("testkafka: %s: begin: %v", l.kind, err)
	}
}

func (l *loader) end(c *kgo.Client, commit bool) {
	l.Helper()
	if err := c.EndTransaction(l.ctx, kgo.TransactionEndTry(commit)); err != nil {
		l.Fatalf("testkafka: %s: end: %v", l.kind, err)
	}
}
