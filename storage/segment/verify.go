package segment

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/kafkadr/kafkadr/storage/batch"
)

// maxFindings bounds what Verify reports of one object.
const maxFindings = 100

// placed is a frame with the run it is of.
type placed struct {
	Frame
	run int
}

// verifier gathers what Verify finds.
type verifier struct {
	r        *Reader
	runs     []*Run // by place in the directory; nil where the block is damaged
	sums     []summary
	aborts   []batch.AbortTracker
	skipped  []bool
	each     func(run int, b batch.Batch)
	findings []error
}

// Verify reads the whole object and checks every byte of it: header, frames
// against digests, batches against CRC, index against batches, directory
// against runs, footer, and that nothing lies between them. It goes on behind
// damage: its error joins a *[DamageError] for each, at most 100. An error of
// the ReaderAt ends it.
func (r *Reader) Verify() error { return r.VerifyBatches(nil) }

// VerifyBatches is [Reader.Verify], and calls each for every batch that is
// whole, with its run's place in [Reader.Runs]; those of one run in order.
func (r *Reader) VerifyBatches(each func(run int, b batch.Batch)) error {
	n := len(r.runs)
	v := &verifier{r: r, runs: make([]*Run, n), sums: make([]summary, n), aborts: make([]batch.AbortTracker, n), skipped: make([]bool, n), each: each}
	for _, step := range []func() error{v.header, v.blocks, v.frames} {
		if err := step(); err != nil {
			return errors.Join(append(v.findings, err)...)
		}
	}
	v.totals()
	return errors.Join(v.findings...)
}

// found takes damage and says whether err is something else.
func (v *verifier) found(err error) error {
	d, version := new(DamageError), new(VersionError)
	if err != nil && !errors.As(err, &d) && !errors.As(err, &version) {
		return err
	}
	if err != nil && len(v.findings) < maxFindings {
		v.findings = append(v.findings, err)
	}
	return nil
}

func (v *verifier) header() error {
	raw, err := readAt(v.r.r, nil, 0, headerLen)
	if err != nil {
		return err
	}
	if string(raw) != string(appendHeader(nil)) {
		return v.found(&DamageError{Part: "header", Length: headerLen, Reason: "not as a writer makes it"})
	}
	return nil
}

func (v *verifier) blocks() error {
	for i, info := range v.r.runs {
		run, err := v.r.Run(info)
		if err != nil {
			if err := v.found(err); err != nil {
				return err
			}
			continue
		}
		v.runs[i] = run
		v.aborts[i].Add(run.Aborted...)
	}
	return nil
}

// frames reads the frames as they lie. Where a run's block is damaged, its
// frames look like gaps, which are then not reported.
func (v *verifier) frames() error {
	var all []placed
	whole := true
	for i, run := range v.runs {
		if run == nil {
			whole = false
			continue
		}
		for _, f := range run.Frames {
			all = append(all, placed{f, i})
		}
	}
	slices.SortFunc(all, func(a, b placed) int { return cmp.Compare(a.Position, b.Position) })
	var b frameBuffers
	position := int64(headerLen)
	for _, f := range all {
		if f.Position < position || whole && f.Position != position {
			_ = v.found(&DamageError{Part: "frame", Position: position, Length: f.Position - position, Reason: "gap or overlap before a frame"})
		}
		position = max(position, f.Position+int64(f.Length))
		if err := v.frame(&b, f); err != nil {
			return err
		}
	}
	if blocks := int64(v.r.footer.blocks); position > blocks || whole && position != blocks {
		return v.found(&DamageError{Part: "frame", Position: position, Length: blocks - position, Reason: "gap or overlap before the runs"})
	}
	return nil
}

func (v *verifier) frame(buf *frameBuffers, f placed) error {
	run := v.runs[f.run]
	raw, err := v.r.open(buf, run.Partition, f.Frame)
	if err != nil {
		v.skip(f.run)
		return v.found(err)
	}
	for b, err := range batch.All(raw) {
		if err == nil {
			err = b.CheckCRC()
		}
		if err != nil {
			v.skip(f.run)
			return v.found(&DamageError{Part: "frame", Position: f.Position, Length: int64(f.Length), Partition: run.Partition,
				BaseOffset: f.BaseOffset, EndOffset: f.EndOffset, Reason: "batch", Err: err})
		}
		v.sums[f.run].add(b, v.aborts[f.run].Aborted(b))
		if v.each != nil {
			v.each(f.run, b)
		}
	}
	return nil
}

// skip leaves a run's totals uncompared: they can't be right any more.
func (v *verifier) skip(run int) { v.skipped[run] = true }

// totals compares what the batches add up to with what the index says.
func (v *verifier) totals() {
	for i, run := range v.runs {
		if run == nil || v.skipped[i] {
			continue
		}
		s := v.sums[i].RunInfo
		s.Partition, s.Block, s.HoleRuns = run.Partition, run.Block, run.HoleRuns
		if s != run.RunInfo {
			_ = v.found(&DamageError{Part: "run", Position: run.Block.Position, Length: int64(run.Block.Length), Partition: run.Partition,
				BaseOffset: run.BaseOffset, EndOffset: run.EndOffset, Reason: fmt.Sprintf("its batches hold %d records up to %d", s.Records, s.EndOffset)})
		}
	}
}
