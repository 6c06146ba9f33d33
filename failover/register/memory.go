package register

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
)

// Memory is a register in the process's memory: for tests, for a client that is its own controller,
// and as a [Store]. It ends with the process. Safe for concurrent use.
type Memory struct {
	mu      sync.Mutex
	objects map[string][]byte
}

// NewMemory returns an empty register.
func NewMemory() *Memory { return &Memory{objects: map[string][]byte{}} }

// Get implements [Register].
func (m *Memory) Get(ctx context.Context, scope string, number int64) (Epoch, error) {
	return GetFrom(ctx, m, scope, number)
}

// Create implements [Register].
func (m *Memory) Create(ctx context.Context, e Epoch) error { return CreateIn(ctx, m, e) }

// Scopes implements [Lister].
func (m *Memory) Scopes(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var scopes []string
	for key := range m.objects {
		if scope, ok := scopeOf(key); ok {
			scopes = append(scopes, scope)
		}
	}
	slices.Sort(scopes)
	return slices.Compact(scopes), nil
}

// CreateObject implements [Store].
func (m *Memory) CreateObject(ctx context.Context, key string, value []byte) error {
	if ctx.Err() != nil {
		return fmt.Errorf("register: create %s: %w", key, context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.objects[key]; ok {
		return fmt.Errorf("%w: %s", ErrExists, key)
	}
	m.objects[key] = bytes.Clone(value)
	return nil
}

// ReadObject implements [Store].
func (m *Memory) ReadObject(ctx context.Context, key string) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("register: read %s: %w", key, context.Cause(ctx))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	value, ok := m.objects[key]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrNoObject, key)
	}
	return bytes.Clone(value), nil
}
