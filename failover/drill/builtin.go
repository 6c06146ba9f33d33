package drill

import "time"

// Scenarios are the built-in ones, new values each time: change them at will. Times suit clients
// whose lease is a second or less, and controllers that find a dead cluster within that;
// [Scenario.Scaled] stretches them for others.
func Scenarios() []Scenario {
	s := func(d time.Duration) Duration { return Duration(d) }
	return []Scenario{
		{
			Name: "primary_killed", Expect: Switch,
			About:  "Every broker of the primary dies at once and stays dead.",
			Faults: []Fault{{Kind: Kill, On: Primary, After: s(time.Second)}},
		},
		{
			Name: "primary_blackholed", Expect: Switch,
			About:  "Packets to and from the primary vanish: nothing is refused, nothing answers. What was sent may have arrived.",
			Faults: []Fault{{Kind: Blackhole, On: Primary, After: s(time.Second)}},
		},
		{
			Name: "primary_slow", Expect: Stay,
			About:  "The primary answers late. It works: a slow cluster isn't a dead one.",
			Faults: []Fault{{Kind: Slow, On: Primary, After: s(time.Second), For: s(3 * time.Second), Latency: s(40 * time.Millisecond)}},
		},
		{
			Name: "primary_flapping", Expect: Stay,
			About:  "The primary comes and goes, never away for long. To follow it to and fro would cost more than to wait.",
			Faults: []Fault{{Kind: Flap, On: Primary, After: s(time.Second), For: s(3 * time.Second), Every: s(250 * time.Millisecond)}},
		},
		{
			Name: "broker_lost", Expect: Stay,
			About:  "One broker of the primary dies. Its partitions get other leaders, and that is all.",
			Faults: []Fault{{Kind: Kill, On: Primary, Brokers: []int{0}, After: s(time.Second), For: s(3 * time.Second)}},
		},
		{
			Name: "register_unreachable", Expect: Stay,
			About:  "Nobody can read the register for longer than a lease. Clients stop sending, for somebody else may be active; when it is back they go on.",
			Faults: []Fault{{Kind: Blackhole, On: Register, After: s(time.Second), For: s(3 * time.Second)}},
		},
		{
			Name: "standby_dies", Expect: Switch,
			About: "The primary is gone for good, and in the middle of the switch the standby dies too. It comes back, and the switch is finished.",
			Faults: []Fault{
				{Kind: Kill, On: Primary, After: s(time.Second)},
				{Kind: Kill, On: Standby, From: Closing, For: s(2 * time.Second)},
			},
		},
		{
			Name: "mirror_behind", Expect: Switch,
			About: "The copy has stood still for a while when the primary dies. What it hadn't carried is replayed by the producers, which still have it.",
			Faults: []Fault{
				{Kind: Blackhole, On: Mirror, After: s(time.Second)},
				{Kind: Kill, On: Primary, After: s(2 * time.Second)},
			},
		},
		{
			Name: "both_down", Expect: Stay,
			About: "Both clusters are gone. There is nowhere to go: everybody waits. The primary is back first, and all go on where they were.",
			Faults: []Fault{
				{Kind: Kill, On: Standby, After: s(500 * time.Millisecond), For: s(4 * time.Second)},
				{Kind: Kill, On: Primary, After: s(time.Second), For: s(2 * time.Second)},
			},
		},
		{
			Name: "planned_switchover", Expect: Switch, Planned: true, After: s(time.Second),
			About:   "Nothing is wrong. The standby takes over on command, when it has everything.",
			Budgets: Budgets{RPORecords: new(int64)},
		},
	}
}

// Find is the built-in scenario of that name.
func Find(name string) (Scenario, bool) {
	for _, s := range Scenarios() {
		if s.Name == name {
			return s, true
		}
	}
	return Scenario{}, false
}

// Scaled is the scenario with every fault's beginning and length, and a flap's to and fro, n times
// as long. A latency stays what it is.
func (s Scenario) Scaled(n float64) Scenario {
	scale := func(d Duration) Duration { return Duration(float64(d) * n) }
	faults := make([]Fault, len(s.Faults))
	for i, f := range s.Faults {
		f.After, f.For = scale(f.After), scale(f.For)
		if f.Kind == Flap {
			f.Every = scale(Duration(f.Every.or(defaultEvery)))
		}
		faults[i] = f
	}
	s.Faults, s.After = faults, scale(s.After)
	return s
}
