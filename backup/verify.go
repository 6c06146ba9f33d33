package backup

import (
	"cmp"
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/kafkadr/kafkadr/storage"
	"github.com/kafkadr/kafkadr/storage/segment"
)

// VerifyOptions are the settings of a Verify. The zero value reads everything.
type VerifyOptions struct {
	// Sample is the share of objects that are read, above 0 and below 1, chosen at
	// random and rounded up; existence and sizes are checked of all. Default all.
	Sample float64
	// OnProgress is called after each object, one call at a time.
	OnProgress func(objects, total int, bytes int64)
}

// Report is what Verify found.
type Report struct {
	Snapshot storage.Info `json:"snapshot"`
	// Objects and Bytes count what was read.
	Objects int   `json:"objects"`
	Bytes   int64 `json:"bytes"`
	// Records counts the records of the batches that were read and are whole.
	Records int64 `json:"records"`
	// Problems are at most 10 000; More counts those beyond.
	Problems []Problem `json:"problems"`
	More     int64     `json:"more_problems,omitempty"`
}

// Problem is damage, or an offset that nothing explains.
type Problem struct {
	// Kind is manifest, missing_object, size, damaged, unexplained; or unreadable, where the store
	// refuses to give what may be whole.
	Kind       string `json:"kind"`
	Topic      string `json:"topic"`
	Partition  int32  `json:"partition"`
	BaseOffset int64  `json:"base_offset"`
	EndOffset  int64  `json:"end_offset"`
	Object     string `json:"object"`
	Detail     string `json:"detail"`
}

// Kinds of problems.
const (
	problemManifest    = "manifest"
	problemMissing     = "missing_object"
	problemSize        = "size"
	problemDamaged     = "damaged"
	problemUnexplained = "unexplained"
	problemUnreadable  = "unreadable"
)

// Damaged says whether any problem is more than that the store refuses to give something.
func (r *Report) Damaged() bool {
	return slices.ContainsFunc(r.Problems, func(p Problem) bool { return p.Kind != problemUnreadable })
}

const (
	maxProblems = 10_000
	// verifyBytes of an object are in memory, as many as verifyAtOnce large objects have in all;
	// verifyReads bounds how many small ones are read at once.
	verifyAtOnce = 4
	verifyBytes  = 4 << 20
	verifyReads  = 64
)

// Verify reads and checks everything the snapshot names, and the lineage's
// manifest chain, and explains every offset: each is in a batch, or in a hole
// whose reason is recorded. Offsets that a batch covers without a record for
// them are explained by the batch: only the log cleaner makes such.
// Damage is in the Report, not an error; errors are the store's and the
// context's.
func Verify(ctx context.Context, a *storage.Archive, s *storage.Snapshot, o VerifyOptions) (*Report, error) {
	v := &verifier{
		a: a, s: s, o: o, report: &Report{Snapshot: s.Info(), Problems: []Problem{}},
		names: map[kadm.TopicID]string{}, holes: map[segment.Partition][][]storage.Range{},
		wanted: map[string][]uint64{}, bad: map[string]Problem{}, told: map[Problem]bool{},
	}
	for _, step := range []func(context.Context) error{v.chain, v.manifest, v.objects, v.name} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return v.report, nil
}

// verifier gathers what Verify finds. Its maps are written by manifest alone.
type verifier struct {
	a      *storage.Archive
	s      *storage.Snapshot
	o      VerifyOptions
	names  map[kadm.TopicID]string
	holes  map[segment.Partition][][]storage.Range // of each history
	wanted map[string][]uint64                     // digests of the runs, by object

	mu     sync.Mutex
	report *Report
	bad    map[string]Problem // objects that can't be read, with why; their runs are still to be named
	total  int
	told   map[Problem]bool // of the manifest: a lost part of it is met more than once
}

func (v *verifier) problem(p Problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p.Kind == problemManifest || p.Kind == problemUnreadable {
		if v.told[p] {
			return
		}
		if len(v.told) < maxProblems {
			v.told[p] = true
		}
	}
	if len(v.report.Problems) >= maxProblems {
		v.report.More++
		return
	}
	v.report.Problems = append(v.report.Problems, p)
}

// damaged reports damage and says whether err is something else.
func (v *verifier) damaged(err error, kind, object string) error {
	var d *storage.DamageError
	var refused *storage.UnreadableError
	var version *storage.VersionError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		v.problem(Problem{
			Kind: problemUnreadable, Topic: v.names[refused.Partition.Topic], Partition: refused.Partition.Partition,
			BaseOffset: refused.BaseOffset, EndOffset: refused.EndOffset, Object: refused.Object, Detail: refused.Err.Error(),
		})
		return nil
	case errors.As(err, &d):
		if d.Object != "" {
			object = d.Object
		}
		v.problem(Problem{
			Kind: kind, Topic: v.names[d.Partition.Topic], Partition: d.Partition.Partition, BaseOffset: d.BaseOffset, EndOffset: d.EndOffset,
			Object: object, Detail: d.Err.Error(),
		})
		return nil
	case errors.As(err, &version):
		v.problem(Problem{Kind: kind, Object: object, Detail: err.Error()})
		return nil
	}
	return err
}

// chain checks the lineage's commit log.
func (v *verifier) chain(ctx context.Context) error {
	problems, err := v.a.VerifyChain(ctx, storage.Lineage{ClusterID: v.s.Info().ClusterID})
	for _, p := range problems {
		kind := problemManifest
		if p.Kind == problemUnreadable {
			kind = problemUnreadable
		}
		v.problem(Problem{Kind: kind, Object: p.Object, Detail: p.Kind + ": " + p.Detail})
	}
	return v.damaged(err, problemManifest, "")
}

// objects checks all objects, and reads those that are chosen, several at once.
func (v *verifier) objects(ctx context.Context) error {
	for _, err := range v.s.Objects(ctx) {
		if err == nil {
			v.total++
		} else if err := v.damaged(err, problemManifest, ""); err != nil {
			return err
		}
	}
	whole := v.sample(v.total)
	room := semaphore.NewWeighted(verifyAtOnce * verifyBytes)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(verifyReads)
	for o, err := range v.s.CheckEach(gctx) {
		if err != nil {
			if err = v.damaged(err, problemManifest, ""); err == nil {
				continue
			}
		} else {
			err = v.object(o)
		}
		if err != nil {
			return cmp.Or(g.Wait(), err)
		}
		if read := whole[0]; read && o.Err == nil {
			held := min(o.Size, verifyBytes)
			if err := room.Acquire(gctx, held); err != nil {
				return cmp.Or(g.Wait(), err)
			}
			g.Go(func() error {
				defer room.Release(held)
				return v.read(gctx, o.Object)
			})
		}
		whole = whole[1:]
	}
	return g.Wait()
}

// sample chooses the objects that are read: at least one, or nothing would be checked.
func (v *verifier) sample(n int) []bool {
	share := v.o.Sample
	if share <= 0 || share >= 1 {
		share = 1
	}
	whole := make([]bool, n)
	for _, i := range rand.Perm(n)[:int(math.Ceil(share*float64(n)))] {
		whole[i] = true
	}
	return whole
}

// object notes what is wrong with an object's existence and size.
func (v *verifier) object(o storage.CheckedObject) error {
	var damage *storage.DamageError
	var refused *storage.UnreadableError
	switch {
	case errors.As(o.Err, &refused):
		v.broken(o.Key, problemUnreadable, refused.Err)
	case errors.Is(o.Err, storage.ErrMissing):
		v.broken(o.Key, problemMissing, o.Err)
	case errors.As(o.Err, &damage):
		v.broken(o.Key, problemSize, o.Err)
	default:
		return o.Err
	}
	return nil
}

// broken notes an object that can't be read at all: name lists its runs.
func (v *verifier) broken(key, kind string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.bad[key] = Problem{Kind: kind, Object: key, Detail: err.Error()}
}
