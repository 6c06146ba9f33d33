package control

import (
	"context"
	"errors"
	"fmt"

	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/offsets/mm2"
)

// TranslatedOffsets is an [OffsetCarrier] for copies with other offsets: what the source's groups
// had committed is translated and committed, never a rewind, never past the end. What has no known
// offset is left as it is, and counted.
type TranslatedOffsets struct {
	// Required.

	// Translator knows the standby's offsets: [offsets.Maps], or another.
	Translator offsets.Translator
	// Captured is what the source's groups had committed, as it was last read.
	Captured func(ctx context.Context, r CarryRequest) (*offsets.Groups, error)

	// Optional.

	GroupChoice
}

// Carry implements [OffsetCarrier].
func (t TranslatedOffsets) Carry(ctx context.Context, r CarryRequest) (OffsetsResult, error) {
	switch {
	case t.Translator == nil:
		return OffsetsResult{}, errors.New("nothing translates: Translator")
	case t.Captured == nil:
		return OffsetsResult{}, errNoCaptured
	}
	captured, err := t.Captured(ctx, r)
	if err != nil {
		return OffsetsResult{}, fmt.Errorf("captured offsets: %w", err)
	}
	cl, err := admin(ctx, r.To, t.Opts)
	if err != nil {
		return OffsetsResult{}, err
	}
	defer cl.Close()
	c := &carrier{GroupChoice: t.GroupChoice, cl: cl.Client(), req: r}
	err = c.commit(ctx, captured, offsets.Through(t.Translator), false)
	return c.res, err
}

// MM2Offsets is an [OffsetCarrier] for copies that MirrorMaker 2 makes: its checkpoints and offset
// syncs, on the standby, say what groups had committed and what that is there.
type MM2Offsets struct {
	// Required.

	// Config says whose flow is read.
	Config mm2.Config

	// Optional.

	GroupChoice
}

// Carry implements [OffsetCarrier].
func (m MM2Offsets) Carry(ctx context.Context, r CarryRequest) (OffsetsResult, error) {
	cl, err := admin(ctx, r.To, m.Opts)
	if err != nil {
		return OffsetsResult{}, err
	}
	defer cl.Close()
	t, err := mm2.Open(ctx, cl.Client(), m.Config)
	if err != nil {
		return OffsetsResult{}, err
	}
	c := &carrier{GroupChoice: m.GroupChoice, cl: cl.Client(), req: r}
	err = c.commit(ctx, t.Captured(), offsets.Through(t), false)
	return c.res, err
}
