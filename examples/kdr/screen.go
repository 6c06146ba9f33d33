package main

import (
	"fmt"
	"io"
	"sync"
)

// screen is standard error with, on a terminal, a progress line at its bottom:
// log lines go above it. Safe for concurrent use.
type screen struct {
	mu    sync.Mutex
	w     io.Writer
	shown bool
}

// Write writes log lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	return s.w.Write(p)
}

// line replaces the progress line.
func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	_, _ = fmt.Fprint(s.w, text)
	s.shown = text != ""
}

// clear takes the progress line away.
func (s *screen) clear() { s.line("") }

func (s *screen) wipe() {
	if s.shown {
		_, _ = fmt.Fprint(s.w, "\r\x1b[K")
		s.shown = false
	}
}
