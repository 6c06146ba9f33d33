package bench

import (
	"slices"
	"time"

	"github.com/kafkadr/kafkadr/failover/control"
)

const (
	restMust, restTarget = time.Second, 300 * time.Millisecond
	pauseTarget          = 500 * time.Millisecond
	switches             = 12
	// besides are the rounds with plain kgo beside: it takes its time.
	besides = 4
)

// outageOf is a kind of outage.
type outageOf struct {
	name, about string
	trial       trial
	rounds      int
}

func outagesOf(kills int) []outageOf {
	return []outageOf{
		{"kill", "SIGKILL of the broker's process, plain kgo beside in the first rounds", trial{scenario: "primary_killed", plain: true}, kills},
		{"blackhole", "nothing comes through to or from the primary, plain kgo beside in the first rounds", trial{scenario: "primary_blackholed", plain: true}, kills},
		{"fenced", "black hole for applications, mirror and probes, while the controller reaches the brokers by another network and has them deny writes", trial{scenario: "primary_blackholed", fence: true}, kills},
		{"planned", "switchover by command, fenced at the brokers", trial{scenario: "planned_switchover", fence: true}, min(kills, switches)},
		{"planned without a fence", "switchover by command, the lease is waited for", trial{scenario: "planned_switchover"}, min(kills, switches)},
	}
}

// outages measures how long applications wait where the primary goes away, and where it is left on
// command.
func (b *bench) outages() {
	kills := intEnv("KAFKADR_BENCH_KILLS", 30)
	kinds := slices.DeleteFunc(outagesOf(kills), func(k outageOf) bool { return !b.only.MatchString(k.name) })
	if len(kinds) == 0 {
		return
	}
	s := b.standing()
	for _, k := range kinds {
		var rounds []*round
		for i := range k.rounds {
			tr := k.trial
			tr.plain = tr.plain && i < besides
			rounds = append(rounds, s.round(tr))
		}
		b.printf("\n## %s: %s\n\n", k.name, k.about)
		b.outage(rounds)
		b.phases(rounds)
		if k.trial.plain {
			b.beside(rounds)
		}
	}
}

// outage is the table of one kind.
func (b *bench) outage(all []*round) {
	rounds := slices.DeleteFunc(slices.Clone(all), func(r *round) bool { return r.phases == nil })
	if len(rounds) < len(all) {
		b.printf("%d of %d switches were refused: the machine was too busy for the deadlines. They aren't counted.\n\n", len(all)-len(rounds), len(all))
	}
	if len(rounds) == 0 {
		return
	}
	forced := rounds[0].detection > 0
	b.printf("| %d rounds | p50 ms | p99 ms | most ms | target, must | |\n|---|---|---|---|---|---|\n", len(rounds))
	row := func(name, bound, met string, of func(*round) time.Duration) {
		ds := each(rounds, of)
		b.printf("| %s | %.0f | %.0f | %.0f | %s | %s |\n", name, quantile(ds, 0.5), quantile(ds, 0.99), quantile(ds, 1), bound, met)
	}
	if forced {
		row("from the fault to the first ack on the standby", "", "", func(r *round) time.Duration { return r.rto })
		row("detection: until the controller has decided", "", "", func(r *round) time.Duration { return r.detection })
		row("waited for the lease", "", "", func(r *round) time.Duration { return r.lease })
		rest := quantile(each(rounds, func(r *round) time.Duration { return r.rest }), 0.99)
		row("the rest", "300, 1000", verdict(rest <= millisOf(restTarget), rest <= millisOf(restMust)), func(r *round) time.Duration { return r.rest })
	}
	pause := quantile(each(rounds, func(r *round) time.Duration { return r.pause }), 0.99)
	if forced {
		row("longest time between two acks", "", "", func(r *round) time.Duration { return r.pause })
	} else {
		row("longest time between two acks", "500", verdict(pause < millisOf(pauseTarget), true), func(r *round) time.Duration { return r.pause })
		row("of it waited for the lease", "", "", func(r *round) time.Duration { return r.lease })
	}
	var lost, doubled, reordered, skipped, acked, rpo int64
	fenced := 0
	for _, r := range rounds {
		lost, doubled, reordered, skipped, acked, rpo = lost+r.counts.Lost, doubled+r.counts.Doubled, reordered+r.counts.Reordered, skipped+r.counts.Skipped, acked+r.counts.Acked, rpo+r.rpo
		if r.fenced {
			fenced++
		}
	}
	b.printf("\nThe brokers confirmed the fence in %d of %d rounds. Of %d acked records %d were lost, %d doubled, %d reordered, %d never delivered to the group; %d weren't on the standby when it became active, and were replayed.\n",
		fenced, len(rounds), acked, lost, doubled, reordered, skipped, rpo)
}

// phases says what the time goes to, by the controllers' reports.
func (b *bench) phases(rounds []*round) {
	b.printf("\nSteps, p50 and most:")
	for _, step := range []control.Step{control.StepDetect, control.StepCheck, control.StepClose, control.StepFence, control.StepLease, control.StepDrain, control.StepStop, control.StepForks, control.StepRights, control.StepOpen} {
		var ds []time.Duration
		for _, r := range rounds {
			for _, p := range r.phases {
				if p.Step == step && p.Outcome != control.OutcomeSkipped {
					ds = append(ds, time.Duration(p.Millis*1e6))
				}
			}
		}
		if len(ds) > 0 {
			b.printf(" %s %.1f and %.1f ms;", step, quantile(ds, 0.5), quantile(ds, 1))
		}
	}
	b.printf(" the rest of the rest is until the client has seen the epoch, settled, and had an ack.\n")
}

// beside is what plain kgo made of the same rounds.
func (b *bench) beside(rounds []*round) {
	var came []time.Duration
	var lost, doubled, reordered, acked int64
	failed, lossy, rounded := map[string]int{}, 0, 0
	for _, r := range rounds {
		if r.plain == nil {
			continue
		}
		rounded++
		if r.plain.first > 0 {
			came = append(came, r.plain.first)
		}
		c := r.plain.counts
		lost, doubled, reordered, acked = lost+c.Lost, doubled+c.Doubled, reordered+c.Reordered, acked+c.Acked
		if c.Lost > 0 {
			lossy++
		}
		for text, n := range r.plain.failed {
			failed[text] += n
		}
	}
	b.printf("\nPlain kgo, seed brokers of both clusters, default options, %d records/s: ", plainRate)
	if len(came) > 0 {
		b.printf("first ack on the standby in %d of %d rounds, after p50 %.0f ms, p99 %.0f ms, most %.0f ms", len(came), rounded, quantile(came, 0.5), quantile(came, 0.99), quantile(came, 1))
	} else {
		b.printf("no ack on the standby in any of %d rounds", rounded)
	}
	b.printf(" (it was waited for for %v). Of %d acked records %d were lost, in %d rounds, %d doubled, %d reordered.\n", plainFor, acked, lost, lossy, doubled, reordered)
	for _, text := range sortedTexts(failed) {
		b.printf("%d records got the error: %s.\n", failed[text], text)
	}
}

func each(rounds []*round, of func(*round) time.Duration) (ds []time.Duration) {
	for _, r := range rounds {
		ds = append(ds, of(r))
	}
	return ds
}

func millisOf(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sortedTexts(m map[string]int) (texts []string) {
	for text := range m {
		texts = append(texts, text)
	}
	slices.Sort(texts)
	return texts
}
