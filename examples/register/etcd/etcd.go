// Package etcd keeps a register of active clusters in etcd: one key for each epoch, created by a
// transaction that demands that it isn't there.
//
// etcd limits a request to 1.5 MiB by default (--max-request-bytes): epochs of about 15 000 forks.
package etcd

import (
	"context"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/kafkadr/kafkadr/failover/register"
)

// Register is a register in etcd. Safe for concurrent use.
type Register struct {
	kv     clientv3.KV
	prefix string
}

// New returns a register whose keys begin with prefix, such as "/failover/". The client stays the
// caller's. Reads must be linearizable, as they are unless they ask for something else.
func New(kv clientv3.KV, prefix string) *Register { return &Register{kv: kv, prefix: prefix} }

func (r *Register) key(scope string, number int64) string {
	return fmt.Sprintf("%s%s/%020d", r.prefix, scope, number)
}

// Get implements register.Register.
func (r *Register) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := register.CheckScope(scope); err != nil {
		return register.Epoch{}, err
	}
	key := r.key(scope, number)
	resp, err := r.kv.Get(ctx, key)
	if err != nil {
		return register.Epoch{}, fmt.Errorf("etcd: get %s: %w", key, err)
	}
	if len(resp.Kvs) == 0 {
		return register.Epoch{}, fmt.Errorf("%w: %d of %s", register.ErrNoEpoch, number, scope)
	}
	return register.Decode(key, scope, number, resp.Kvs[0].Value)
}

// Create implements register.Register. A transaction that failed and has succeeded is settled by
// the caller: register.Advance reads what is there.
func (r *Register) Create(ctx context.Context, e register.Epoch) error {
	raw, err := register.Encode(e)
	if err != nil {
		return err
	}
	key := r.key(e.Scope, e.Number)
	resp, err := r.kv.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, string(raw))).
		Else(clientv3.OpGet(key)).
		Commit()
	if err != nil {
		return fmt.Errorf("etcd: create %s: %w", key, err)
	}
	if resp.Succeeded {
		return nil
	}
	there, err := register.Decode(key, e.Scope, e.Number, resp.Responses[0].GetResponseRange().Kvs[0].Value)
	if err != nil {
		return err
	}
	return register.Conflict(e, there)
}
