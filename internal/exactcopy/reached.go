package exactcopy

// Reached is how far the log has got, as far as answered: end is one past the last offset appended, durable one past the last that all in-sync replicas are known
// to have. It may be called by any goroutine.
func (p *Partition) Reached() (end, durable int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.end, min(p.durable, p.end)
}
