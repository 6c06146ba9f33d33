// Package failoverhttp serves the health of a failover client, or of a controller, over HTTP.
//
//	http.Handle("/", failoverhttp.Client(client))
//
// It has three paths. /livez is 200 until the client is closed: a switch, an outage and a lease
// that is over are no reasons to start an application anew, which would make them worse. /readyz is
// 200 while it can do its work, else 503. /status is the whole Status, always 200. All answer with
// JSON; /livez and /readyz with an [Answer].
//
// It is a package of its own so that a client links no net/http.
package failoverhttp

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
)

// Answer is what /livez and /readyz say.
type Answer struct {
	OK bool `json:"ok"`
	// State is the client's or the controller's.
	State string `json:"state"`
	// Reason is why OK is false, for people.
	Reason string `json:"reason,omitempty"`
}

// Client is a handler of a client's health: a *failover.Client, or whatever else has its status. It
// is ready while it is on the active cluster, within its lease, and that cluster answers: in
// [failover.ClientActive].
func Client(c interface{ Status() failover.Status }) http.Handler {
	return handler(c.Status, clientLive, clientReady)
}

func clientLive(s failover.Status) Answer {
	if s.State == failover.ClientClosed {
		return Answer{State: string(s.State), Reason: "the client is closed"}
	}
	return Answer{OK: true, State: string(s.State)}
}

func clientReady(s failover.Status) Answer {
	a := Answer{OK: s.State == failover.ClientActive, State: string(s.State)}
	switch s.State {
	case failover.ClientActive:
	case failover.ClientSilent:
		a.Reason = fmt.Sprintf("cluster %s isn't answering: %d records wait for their acks", s.Cluster, s.Unacked)
	case failover.ClientConnecting:
		a.Reason = "the active cluster can't be used yet"
	case failover.ClientSwitching:
		a.Reason = fmt.Sprintf("a switch is under way since epoch %d: no cluster is active", s.Epoch)
	case failover.ClientFenced:
		a.Reason = fmt.Sprintf("the register hasn't confirmed epoch %d within the lease", s.Epoch)
	case failover.ClientClosed:
		a.Reason = "the client is closed"
	}
	if !a.OK && s.Err != "" {
		a.Reason += ": " + s.Err
	}
	return a
}

// Controller is a handler of a controller's health: a *control.Controller, or whatever else has its
// status. It is ready while the register answers, and it follows an active cluster that is up, or
// switches.
func Controller(c interface{ Status() control.Status }) http.Handler {
	return handler(c.Status, func(s control.Status) Answer { return Answer{OK: true, State: string(s.State)} }, controllerReady)
}

func controllerReady(s control.Status) Answer {
	a := Answer{State: string(s.State), Reason: s.Detail}
	switch {
	case s.RegisterError != "":
		a.Reason = "the register doesn't answer: " + s.RegisterError
	case s.State == control.StateFollowing, s.State == control.StateSwitching:
		a.OK, a.Reason = true, ""
	case a.Reason == "":
		a.Reason = "it is " + a.State
	}
	return a
}

// handler serves the three paths of something that has a status.
func handler[S any](status func() S, live, ready func(S) Answer) http.Handler {
	mux := http.NewServeMux()
	for path, judge := range map[string]func(S) Answer{"GET /livez": live, "GET /readyz": ready} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			a := judge(status())
			code := http.StatusOK
			if !a.OK {
				code = http.StatusServiceUnavailable
			}
			send(w, code, a)
		})
	}
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { send(w, http.StatusOK, status()) })
	return mux
}

func send(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // who asked may have gone
}
