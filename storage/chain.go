package storage

import "context"

// ChainProblem is a fault of a lineage's commit log.
type ChainProblem struct {
	// Sequence is the entry's place in the log.
	Sequence int64 `json:"sequence"`
	// Object is the key of the damaged object.
	Object string `json:"object"`
	// Kind is missing, damaged, unreadable (the store refuses it, so it isn't known to be damaged),
	// chain (it doesn't follow the one before) or lost (something shows that it was there).
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

// VerifyChain reads every entry of a lineage's log, from the first to the newest, checks every byte
// of it, that each holds the digest of the one before, and that each commit is of the writer who
// had claimed the lineage then. What is wrong is returned as problems, errors of the store as an
// error.
func (a *Archive) VerifyChain(ctx context.Context, l Lineage) ([]ChainProblem, error) {
	return a.verifyChain(ctx, l)
}
