package segment

import "fmt"

// VersionError is a segment of a format version that this package doesn't
// know: a newer kafkadr wrote it.
type VersionError struct {
	// Version is the segment's.
	Version int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("segment: format version %d is newer than %d: read it with a newer version of kafkadr", e.Version, Version)
}

// DamageError is a segment whose bytes are not those that were written.
type DamageError struct {
	// Part is what is damaged: header, frame, run, directory, footer.
	Part string
	// Position and Length say where in the object, in bytes.
	Position, Length int64
	// Partition, BaseOffset and EndOffset say what can't be read, half-open;
	// they are zero where the damage is not of one run.
	Partition             Partition
	BaseOffset, EndOffset int64
	// Reason says what is wrong.
	Reason string
	// Err is the cause, or nil.
	Err error
}

func (e *DamageError) Error() string {
	s := fmt.Sprintf("segment: damaged %s at byte %d: %s", e.Part, e.Position, e.Reason)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.EndOffset > e.BaseOffset {
		s += fmt.Sprintf(" (%v, offsets %d to %d)", e.Partition, e.BaseOffset, e.EndOffset)
	}
	return s
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }
