package testkafka

import (
	"fmt"
	"os"
	"sync"
	"testing"
)

// Pool starts real clusters that the tests of a package share, each shape once, at the first test
// that asks for it. The zero value is ready.
//
//	var pool testkafka.Pool
//
//	func TestMain(m *testing.M) { os.Exit(pool.Run(m.Run)) }
//
// Tests that share a cluster use topics of their own and leave the brokers running.
type Pool struct {
	mu       sync.Mutex
	clusters map[string]*pooled
}

type pooled struct {
	dir string
	c   *cluster
	err error
}

// Run runs the tests and ends the clusters.
func (p *Pool) Run(run func() int) int {
	defer p.Close()
	return run()
}

// Real is [Real], shared by all tests that ask for equal Options.
func (p *Pool) Real(t testing.TB, o Options) Cluster {
	t.Helper()
	j := needJava(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprintf("%+v", o.withDefaults())
	s := p.clusters[key]
	if s == nil {
		s = &pooled{}
		if p.clusters == nil {
			p.clusters = map[string]*pooled{}
		}
		p.clusters[key] = s
		if s.dir, s.err = os.MkdirTemp("", "testkafka-"); s.err == nil {
			s.c, s.err = startReal(j, s.dir, o)
		}
	}
	if s.err != nil {
		t.Fatalf("testkafka: start Kafka: %v", s.err)
	}
	t.Cleanup(func() { s.c.logOnFailure(t) })
	return s.c.asCluster()
}

// Close ends the clusters.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.clusters {
		if s.c != nil {
			s.c.close()
		}
		_ = os.RemoveAll(s.dir)
	}
	p.clusters = nil
}
