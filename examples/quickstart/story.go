package main

import (
	"fmt"
	"io"
	"time"
)

// story prints what happens, and counts the checks that fail.
type story struct {
	out              io.Writer
	start            time.Time
	chapters, failed int
	checks           int
}

// chapter begins a part of the story.
func (s *story) chapter(format string, args ...any) {
	s.chapters++
	s.print("\n%5.1fs  %d. %s\n", time.Since(s.start).Seconds(), s.chapters, fmt.Sprintf(format, args...))
}

// say tells what happened.
func (s *story) say(format string, args ...any) {
	s.print("        %s\n", fmt.Sprintf(format, args...))
}

// check tells whether something that must hold does.
func (s *story) check(ok bool, format string, args ...any) {
	s.checks++
	mark := "ok  "
	if !ok {
		mark = "FAIL"
		s.failed++
	}
	s.print("  %s  %s\n", mark, fmt.Sprintf(format, args...))
}

// end is an error if a check failed.
func (s *story) end() error {
	if s.failed > 0 {
		return fmt.Errorf("%d of %d checks failed", s.failed, s.checks)
	}
	s.print("\nAll %d checks hold, %.1f s.\n", s.checks, time.Since(s.start).Seconds())
	return nil
}

func (s *story) print(format string, args ...any) {
	_, _ = fmt.Fprintf(s.out, format, args...)
}
