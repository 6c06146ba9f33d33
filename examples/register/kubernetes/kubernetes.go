// Package kubernetes keeps a register of active clusters in Leases of Kubernetes
// (coordination.k8s.io/v1): one object for each epoch, created and never changed. The API server
// refuses to create an object that is there, on etcd's own transactions.
//
// The epoch is in an annotation. Annotations have 256 KiB at most together: epochs of about 3 000
// forks, or of 10 000 with short names; one that is larger is compressed. Nobody must delete the
// Leases, and the account needs the verbs get and create on them, no more.
package kubernetes

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"github.com/kafkadr/kafkadr/failover/register"
)

const (
	annotation = "kafkadr.github.com/epoch"
	// most is what an annotation may hold, and leaves room for others.
	most = 250 << 10
	// unpacked bounds what a compressed epoch becomes.
	unpacked = 16 << 20
)

// Register is a register in the Leases of a namespace. Safe for concurrent use.
type Register struct {
	leases coordinationclient.LeaseInterface
	prefix string
}

// New returns a register whose Leases' names begin with prefix, such as "failover-":
// clientset.CoordinationV1().Leases("kafka"). The client stays the caller's.
func New(leases coordinationclient.LeaseInterface, prefix string) *Register {
	return &Register{leases: leases, prefix: prefix}
}

func (r *Register) name(scope string, number int64) string {
	return fmt.Sprintf("%s%s.%020d", r.prefix, scope, number)
}

// Get implements register.Register. With no resource version the API server reads from etcd's
// quorum, not from its cache.
func (r *Register) Get(ctx context.Context, scope string, number int64) (register.Epoch, error) {
	if err := errors.Join(register.CheckScope(scope), ctx.Err()); err != nil {
		return register.Epoch{}, err
	}
	name := r.name(scope, number)
	lease, err := r.leases.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return register.Epoch{}, fmt.Errorf("%w: %d of %s", register.ErrNoEpoch, number, scope)
	}
	if err != nil {
		return register.Epoch{}, fmt.Errorf("kubernetes: get lease %s: %w", name, err)
	}
	raw, err := unpack(lease.Annotations[annotation])
	if err != nil {
		return register.Epoch{}, &register.DamageError{Key: name, Err: err}
	}
	return register.Decode(name, scope, number, raw)
}

// Create implements register.Register. A request that failed and has succeeded is settled by the
// caller: register.Advance reads what is there.
func (r *Register) Create(ctx context.Context, e register.Epoch) error {
	raw, err := register.Encode(e)
	if err != nil {
		return err
	}
	text := pack(raw)
	if len(text) > most {
		return &register.InvalidError{Scope: e.Scope, Number: e.Number, Reason: fmt.Sprintf("it has %d bytes; an annotation takes %d", len(text), most)}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	name := r.name(e.Scope, e.Number)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{annotation: text}},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &e.Active},
	}
	_, err = r.leases.Create(ctx, lease, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		if err != nil {
			return fmt.Errorf("kubernetes: create lease %s: %w", name, err)
		}
		return nil
	}
	there, err := r.Get(ctx, e.Scope, e.Number)
	if errors.Is(err, register.ErrNoEpoch) {
		return fmt.Errorf("%w: lease %s exists, and isn't there", register.ErrStale, name)
	}
	if err != nil {
		return err
	}
	return register.Conflict(e, there)
}

// pack is the JSON itself where it is small, for people to read, and else compressed.
func pack(raw []byte) string {
	if len(raw) <= 16<<10 {
		return string(raw)
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(raw) // into memory
	_ = w.Close()
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func unpack(text string) ([]byte, error) {
	if len(text) > 0 && text[0] == '{' {
		return []byte(text), nil
	}
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, unpacked+1))
}
