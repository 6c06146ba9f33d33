package failoverprom

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kafkadr/kafkadr/failover"
)

// Client is a collector of a client: a *failover.Client, or whatever else has its status. It may be
// used concurrently.
func Client(c interface{ Status() failover.Status }) prometheus.Collector {
	state := desc("client_state", "1 for the state that the client is in, 0 for the others.", "state")
	on := desc("client_active", "1 for the cluster that the client is on.", "cluster")
	return &collector[failover.Status]{
		status: c.Status, scope: func(s *failover.Status) string { return s.Scope },
		families: clientFamilies(), labeled: []*prometheus.Desc{state, on},
		send: func(s *failover.Status, to func(*prometheus.Desc, float64, ...string)) {
			for _, st := range clientStates() {
				to(state, truth(s.State == st), string(st))
			}
			if s.Cluster != "" {
				to(on, 1, s.Cluster)
			}
		},
	}
}

func clientStates() []failover.State {
	return []failover.State{
		failover.ClientActive, failover.ClientSilent, failover.ClientConnecting, failover.ClientSwitching, failover.ClientFenced, failover.ClientClosed,
	}
}

// ofLast is a number of the last switch, which isn't known before there was one.
func ofLast(value func(*failover.ClientReport) (float64, bool)) func(*failover.Status) (float64, bool) {
	return func(s *failover.Status) (float64, bool) {
		if s.Last == nil {
			return 0, false
		}
		return value(s.Last)
	}
}

func clientFamilies() []family[*failover.Status] {
	type S = *failover.Status
	number := func(name, help string, value func(*failover.ClientReport) int64) family[S] {
		return maybe(name, help, ofLast(func(r *failover.ClientReport) (float64, bool) { return float64(value(r)), true }))
	}
	return []family[S]{
		gauge("client_epoch", "Number of the last epoch that the client knows.", func(s S) float64 { return float64(s.Epoch) }),
		gauge("client_lease_seconds", "What is left of the lease.", func(s S) float64 { return float64(s.LeaseMillis) / 1000 }),
		gauge("client_unacked_records", "Records that wait for their ack.", func(s S) float64 { return float64(s.Unacked) }),
		gauge("client_unconfirmed_records", "Records that were acked and may have to be replayed.", func(s S) float64 { return float64(s.Unconfirmed) }),
		counter("client_let_go_records_total", "Records that were let go of the replay buffer because it was full.", func(s S) int64 { return s.LetGo }),
		maybe("client_unprotected_timestamp_seconds", "Since when a record has been let go that the copy isn't known to have, as Unix time.", func(s S) (float64, bool) { return unix(s.Unprotected) }),
		counter("client_waited_records_total", "Records that had to wait for room in the replay buffer.", func(s S) int64 { return s.Waited }),
		gauge("client_blocked_records", "Records that wait for room in the replay buffer now.", func(s S) float64 { return float64(s.Blocked) }),
		maybe("client_switch_closed_timestamp_seconds", "When the client saw in the last switch that its cluster is left, as Unix time.", ofLast(func(r *failover.ClientReport) (float64, bool) { return unix(r.Closed) })),
		maybe("client_switch_ready_timestamp_seconds", "When the client's records went on after the last switch, as Unix time.", ofLast(func(r *failover.ClientReport) (float64, bool) { return unix(r.Ready) })),
		maybe("client_switch_first_ack_seconds", "From the time that the cluster was left to the first ack afterwards.", ofLast(func(r *failover.ClientReport) (float64, bool) {
			return float64(r.FirstAckMillis) / 1000, r.FirstAckMillis >= 0
		})),
		number("client_switch_in_doubt_records", "Records without an ack at the last switch.", func(r *failover.ClientReport) int64 { return r.InDoubt }),
		number("client_switch_unsearched_records", "Records that couldn't be looked for at the last switch.", func(r *failover.ClientReport) int64 { return r.Unsearched }),
		number("client_switch_replayed_records", "Acked records that were produced again at the last switch.", func(r *failover.ClientReport) int64 { return r.Replayed }),
		number("client_switch_redelivered_records", "Records that were polled again after the last switch.", func(r *failover.ClientReport) int64 { return r.Redelivered }),
	}
}
