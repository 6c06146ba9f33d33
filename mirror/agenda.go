package mirror

import (
	"context"
	"sync"
)

// agenda is what discovery is to do, and whether it has been through once. Anybody may add to it;
// discovery alone takes from it.
type agenda struct {
	ring func() // wakes the loop

	mu    sync.Mutex
	soon  bool
	todo  []func(context.Context)
	whole bool // every topic that was selected is taken in
}

// again has discovery look again soon.
func (a *agenda) again() {
	a.mu.Lock()
	a.soon = true
	a.mu.Unlock()
	a.ring()
}

// add has discovery do something, before it looks again soon.
func (a *agenda) add(do func(context.Context)) {
	a.mu.Lock()
	a.todo = append(a.todo, do)
	a.mu.Unlock()
	a.again()
}

// hurry says that discovery shall look now.
func (a *agenda) hurry() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.soon
}

// take takes what is to be done, as a look begins.
func (a *agenda) take() []func(context.Context) {
	a.mu.Lock()
	defer a.mu.Unlock()
	todo := a.todo
	a.soon, a.todo = false, nil
	return todo
}

// setWhole says whether every topic is taken in.
func (a *agenda) setWhole(whole bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = whole
}

// isWhole says that every topic is taken in: a Once may end then, and a view of all topics lacks
// none.
func (a *agenda) isWhole() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.whole
}
