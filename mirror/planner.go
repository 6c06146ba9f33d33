package mirror

import "context"

// NewPlan says what a mirror would do, and what forbids it. It changes nothing. Errors are a *[ConfigError], a *[ConnectError], an *[UnknownTopicError], or of the clusters.
func NewPlan(ctx context.Context, cfg Config) (*Plan, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	e, err := connect(ctx, cfg)
	if err != nil {
		return nil, err
	}
	defer e.close()
	return e.plan(ctx)
}

func (e *engine) plan(ctx context.Context) (*Plan, error) {
	p := &Plan{}
	if _, err := e.openBack(ctx); err != nil {
		return nil, err
	}
	p.Conflicts = append(p.Conflicts, e.against()...)
	return p, nil
}
