package failoverprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/probe"
)

// Controller is a collector of a controller: a *control.Controller, or whatever else has its
// status. It may be used concurrently.
func Controller(c interface{ Status() control.Status }) prometheus.Collector {
	state := desc("controller_state", "1 for the state that the controller is in, 0 for the others.", "state")
	active := desc("active", "1 for the active cluster.", "cluster")
	up := desc("up", "1 for clusters that are up.", "cluster")
	return &collector[control.Status]{
		status: c.Status, scope: func(s *control.Status) string { return s.Scope },
		families: controllerFamilies(), labeled: []*prometheus.Desc{state, active, up},
		send: func(s *control.Status, to func(*prometheus.Desc, float64, ...string)) {
			for _, st := range controllerStates() {
				to(state, truth(s.State == st), string(st))
			}
			for _, cl := range s.Clusters {
				to(active, truth(cl.Cluster == s.Epoch.Active), cl.Cluster)
				to(up, truth(cl.State == probe.Healthy), cl.Cluster)
			}
		},
	}
}

func controllerStates() []control.State {
	return []control.State{
		control.StateStarting, control.StateFollowing, control.StateSuspect, control.StateDown, control.StateVetoed, control.StateSwitching, control.StateClosed,
	}
}

func controllerFamilies() []family[*control.Status] {
	type S = *control.Status
	return []family[S]{
		gauge("epoch", "Number of the newest epoch that was seen.", func(s S) float64 { return float64(s.Epoch.Number) }),
		gauge("closed", "1 while a switch is under way.", func(s S) float64 { return truth(s.Epoch.Closing()) }),
		gauge("register_down", "1 where the register didn't answer when it was last asked.", func(s S) float64 { return truth(s.RegisterError != "") }),
		maybe("register_read_timestamp_seconds", "When the register last said which epoch it is, as Unix time.", func(s S) (float64, bool) { return unix(s.Read) }),
		counter("switches_total", "Switches that this controller has carried out.", func(s S) int64 { return int64(s.Switches) }),
		counter("vetoes_total", "Switches that were refused or given up.", func(s S) int64 { return int64(s.Vetoes) }),
		maybe("conflicts", "What would be in the way of a switch, by the last rehearsal.", func(s S) (float64, bool) {
			if s.Rehearsal == nil {
				return 0, false
			}
			return float64(len(s.Rehearsal.Conflicts)), true
		}),
		maybe("rehearsal_timestamp_seconds", "When the last rehearsal was, as Unix time.", func(s S) (float64, bool) {
			if s.Rehearsal == nil {
				return 0, false
			}
			return unix(s.Rehearsal.At)
		}),
	}
}
