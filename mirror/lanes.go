package mirror

import "sync"

// lane is what waits for nothing but itself: a kind of work, and the brokers that it asks. A broker
// is -1 where none is asked, or where it isn't known.
type lane struct {
	work           string
	source, target int32
}

// Kinds of the loop's work.
const (
	discovering = "discover"
	noting      = "note"
	looking     = "look"
	settling    = "settle"
	watching    = "watch"
)

func of(work string) lane { return lane{work, -1, -1} }

// lanes do the loop's work, in each lane one thing at a time: what asks a broker that stands still
// holds up nothing that asks another.
type lanes struct {
	mu   sync.Mutex
	busy map[lane]struct{}
	wg   sync.WaitGroup
}

// free says that nothing is under way in a lane. Only who starts work may rely on it.
func (l *lanes) free(at lane) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, busy := l.busy[at]
	return !busy
}

// run does something in a lane that is free, and calls done once the lane is free again.
func (l *lanes) run(at lane, do, done func()) {
	l.mu.Lock()
	if l.busy == nil {
		l.busy = make(map[lane]struct{})
	}
	l.busy[at] = struct{}{}
	l.mu.Unlock()
	l.wg.Go(func() {
		defer done()
		defer l.end(at)
		do()
	})
}

func (l *lanes) end(at lane) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, at)
}

// wait waits for all that is under way.
func (l *lanes) wait() { l.wg.Wait() }
