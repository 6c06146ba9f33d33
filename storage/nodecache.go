package storage

import (
	"bytes"
	"container/list"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"github.com/kafkadr/kafkadr/storage/internal/tree"
)

const (
	// blockBytes is how much of a log entry is read at once: neighbours in a
	// tree were written side by side.
	blockBytes = 64 << 10
	// cacheBlocks bounds what an Archive keeps of manifests.
	cacheBlocks = 64
)

type blockID struct {
	key   string
	block int64
}

// blockCache keeps the blocks of log entries that were used last. Entries never change; but the
// number of one that an operator moved away is used again, so a block that isn't what a reference
// means is read once more.
type blockCache struct {
	mu     sync.Mutex
	order  *list.List
	blocks map[blockID]*list.Element
	reads  map[blockID]*blockRead
}

// blockRead is a block that is being read, for all who want it. Its fields are set when done is
// closed.
type blockRead struct {
	done chan struct{}
	raw  []byte
	err  error
	// again says that the error is of the reader's own context.
	again bool
}

type cached struct {
	id  blockID
	raw []byte
}

func newBlockCache() *blockCache {
	return &blockCache{order: list.New(), blocks: map[blockID]*list.Element{}, reads: map[blockID]*blockRead{}}
}

func (c *blockCache) get(id blockID) ([]byte, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.blocks[id]
	if !ok {
		return nil, false
	}
	c.order.MoveToFront(el)
	return el.Value.(*cached).raw, true
}

func (c *blockCache) put(id blockID, raw []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.blocks[id]; ok {
		el.Value.(*cached).raw = raw
		c.order.MoveToFront(el)
		return
	}
	c.blocks[id] = c.order.PushFront(&cached{id: id, raw: raw})
	for len(c.blocks) > cacheBlocks {
		last := c.order.Back()
		c.order.Remove(last)
		delete(c.blocks, last.Value.(*cached).id)
	}
}

// renew takes an entry's first block as it was just read. Where another one is known, all of that
// entry is forgotten.
func (c *blockCache) renew(key string, raw []byte) {
	id := blockID{key, 0}
	if was, ok := c.get(id); ok && !bytes.Equal(was, raw) {
		c.forget(key)
	}
	c.put(id, raw)
}

// forget drops the blocks of an entry, and says whether there was one.
func (c *blockCache) forget(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.blocks)
	for id, el := range c.blocks {
		if id.key == key {
			c.order.Remove(el)
			delete(c.blocks, id)
		}
	}
	return len(c.blocks) < n
}

// join is the read of a block that is under way, or a new one that the caller makes.
func (c *blockCache) join(id blockID) (r *blockRead, mine bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.reads[id]; r != nil {
		return r, false
	}
	r = &blockRead{done: make(chan struct{})}
	c.reads[id] = r
	return r, true
}

func (c *blockCache) finish(id blockID, r *blockRead) {
	if r.err == nil {
		c.put(id, r.raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.reads, id)
	close(r.done)
}

// block returns a block of a log entry, the last one perhaps short.
func (a *Archive) block(ctx context.Context, id blockID) ([]byte, error) {
	for {
		if raw, ok := a.cache.get(id); ok {
			return raw, nil
		}
		r, mine := a.cache.join(id)
		if mine {
			r.raw, _, r.err = a.readRange(ctx, id.key, true, id.block*blockBytes, blockBytes)
			r.again = r.err != nil && ctx.Err() != nil
			a.cache.finish(id, r)
			return r.raw, r.err
		}
		select {
		case <-r.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !r.again {
			return r.raw, r.err
		}
	}
}

// loadNode reads the bytes of a manifest node of the lineage.
func (a *Archive) loadNode(l Lineage) tree.Load {
	return func(ctx context.Context, r tree.Ref) ([]byte, error) {
		key := l.logKey(r.Entry)
		raw, err := a.loadBytes(ctx, key, r.Position, r.Length)
		if (err == nil && sha256.Sum256(raw) != r.SHA256 || errors.Is(err, errTruncated)) && a.cache.forget(key) {
			raw, err = a.loadBytes(ctx, key, r.Position, r.Length)
		}
		if isAbsent(err) {
			err = errMissing
		}
		if err != nil {
			return nil, a.nodeError(key, err)
		}
		return raw, nil
	}
}

func (a *Archive) loadBytes(ctx context.Context, key string, position, length int64) ([]byte, error) {
	first, last := position/blockBytes, (position+length-1)/blockBytes
	if last-first > 1 {
		return a.readExactly(ctx, key, position, length)
	}
	var raw []byte
	for i := first; i <= last; i++ {
		block, err := a.block(ctx, blockID{key, i})
		if err != nil {
			return nil, err
		}
		from, to := max(0, position-i*blockBytes), min(blockBytes, position+length-i*blockBytes)
		if int64(len(block)) < to {
			return nil, fmt.Errorf("%w: bytes to %d are missing", errTruncated, position+length)
		}
		if raw = append(raw, block[from:to]...); first == last {
			return block[from:to:to], nil
		}
	}
	return raw, nil
}

func (a *Archive) nodeError(key string, err error) error {
	switch {
	case errors.Is(err, errMissing):
		return &DamageError{Object: key, Err: err}
	case a.refuses(err):
		return &UnreadableError{Object: key, Err: err}
	}
	return a.entryError(key, err)
}
