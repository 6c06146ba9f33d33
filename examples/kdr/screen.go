package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// screen is standard error with, on a terminal, a progress line at its bottom:
// other lines go above it. Safe for concurrent use.
type screen struct {
	w        io.Writer
	terminal bool
	width    func() int // of the terminal

	mu    sync.Mutex
	shown bool
}

// newScreen finds out whether w is a terminal.
func newScreen(w io.Writer) *screen {
	s := &screen{w: w, width: func() int { return 80 }}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal = true
		s.width = func() int {
			if columns, _, err := term.GetSize(int(f.Fd())); err == nil && columns > 0 {
				return columns
			}
			return 80
		}
	}
	return s
}

// Write writes whole lines.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	return s.w.Write(p)
}

// line replaces the progress line, cut to the terminal's width.
func (s *screen) line(text string) {
	if runes, width := []rune(text), s.width(); len(runes) >= width {
		text = string(runes[:width-1])
	}
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
