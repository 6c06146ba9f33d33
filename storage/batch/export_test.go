package batch

// IdleProducers is idleProducers.
const IdleProducers = idleProducers

// Xerial is xerial.
const Xerial = xerial

// What the tests reach into.
var (
	Sign      = sign
	Resum     = resum
	HeaderSum = headerSum
)

// Unchecked takes raw as a batch, whatever it is.
func Unchecked(raw []byte) Batch { return Batch{raw} }

// Known is how many producers the tracker remembers.
func (t *AbortTracker) Known() int { return len(t.producers) }
