package main

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/kafkadr/kafkadr/examples/kdr/internal/units"
)

// amounts say how far a job is. A total of 0 is one that isn't known.
type amounts struct {
	records, totalRecords int64
	bytes, totalBytes     int64
	// extra is what else is worth a word: "lag 12 records".
	extra string
}

// progress prints how far a job is: on a terminal a line that changes twice a
// second, else a log line every 10 s. Its methods are safe for concurrent use.
type progress struct {
	app   *app
	what  string
	start time.Time
	stop  func()

	mu  sync.Mutex
	now amounts
}

// startProgress begins to print; call end when the job is done.
func (a *app) startProgress(what string) *progress {
	p := &progress{app: a, what: what, start: time.Now()}
	every := 10 * time.Second
	if a.stderr.terminal {
		every = 500 * time.Millisecond
	}
	stopped, ended := make(chan struct{}), make(chan struct{})
	p.stop = sync.OnceFunc(func() { close(stopped); <-ended })
	go func() {
		defer close(ended)
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-stopped:
				return
			case <-ticks.C:
				p.print()
			}
		}
	}()
	return p
}

// set says how far the job is.
func (p *progress) set(now amounts) {
	p.mu.Lock()
	p.now = now
	p.mu.Unlock()
}

// end stops printing. It may be called more than once.
func (p *progress) end() {
	p.stop()
	if p.app.stderr.terminal {
		p.app.stderr.clear()
	}
}

func (p *progress) print() {
	p.mu.Lock()
	text := describe(p.now, time.Since(p.start))
	p.mu.Unlock()
	if p.app.stderr.terminal {
		p.app.stderr.line(p.what + ": " + text)
		return
	}
	p.app.log.Info(p.what, "progress", text)
}

// describe is done/total, rate and time left, as far as they are known.
func describe(now amounts, elapsed time.Duration) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	done, total := now.records, now.totalRecords
	inBytes := now.bytes > 0 || now.totalBytes > 0 || now.extra == "" // else extra says it all
	if total > 0 {
		add("%d/%d records (%d%%)", done, total, min(100, 100*done/total))
	} else if done > 0 {
		add("%d records", done)
	}
	if now.totalBytes > 0 {
		add("%s/%s", units.Size(now.bytes), units.Size(now.totalBytes))
		done, total = now.bytes, now.totalBytes
	} else if inBytes {
		add("%s", units.Size(now.bytes))
	}
	if s := elapsed.Seconds(); s > 0 && inBytes {
		add("%s/s", units.Size(int64(float64(now.bytes)/s)))
	}
	if done > 0 && total > done {
		left := time.Duration(float64(elapsed) * float64(total-done) / float64(done))
		add("%s left", left.Round(time.Second))
	}
	if now.extra != "" {
		parts = append(parts, now.extra)
	}
	return strings.Join(parts, ", ")
}
