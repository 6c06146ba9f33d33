package failoverhttp_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/failoverhttp"
)

type client failover.Status

func (c client) Status() failover.Status { return failover.Status(c) }

type controller control.Status

func (c controller) Status() control.Status { return control.Status(c) }

// ask gets a path, and the answer's document.
func ask(t *testing.T, h http.Handler, path string) (int, map[string]any) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	doc := map[string]any{}
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatalf("%s: %v: %s", path, err, w.Body)
	}
	return w.Code, doc
}

// TestClient: every state of a client; only a closed one isn't alive, only an active one is ready,
// and each other says why.
func TestClient(t *testing.T) {
	for state, c := range map[failover.State]struct {
		live, ready int
		says        string
	}{
		failover.ClientActive:     {200, 200, ""},
		failover.ClientSilent:     {200, 503, "cluster east isn't answering: 3 records"},
		failover.ClientConnecting: {200, 503, "can't be used yet: no route"},
		failover.ClientSwitching:  {200, 503, "since epoch 7"},
		failover.ClientFenced:     {200, 503, "epoch 7 within the lease"},
		failover.ClientClosed:     {503, 503, "closed"},
		"another":                 {200, 503, ""},
	} {
		h := failoverhttp.Client(client{State: state, Epoch: 7, Cluster: "east", Unacked: 3, Err: map[bool]string{true: "no route"}[state == failover.ClientConnecting]})
		if code, _ := ask(t, h, "/livez"); code != c.live {
			t.Errorf("%s: live %d", state, code)
		}
		code, doc := ask(t, h, "/readyz")
		if reason, _ := doc["reason"].(string); code != c.ready || doc["state"] != string(state) || !strings.Contains(reason, c.says) || doc["ok"] != (code == 200) {
			t.Errorf("%s: ready %d, %v", state, code, doc)
		}
		if code, doc := ask(t, h, "/status"); code != 200 || doc["epoch"] != 7.0 || doc["unacked"] != 3.0 {
			t.Errorf("%s: status %d, %v", state, code, doc)
		}
	}
}

// TestController: a controller is ready while the register answers, and it follows or switches.
func TestController(t *testing.T) {
	for _, c := range []struct {
		status controller
		want   int
		says   string
	}{
		{controller{State: control.StateFollowing}, 200, ""},
		{controller{State: control.StateSwitching}, 200, ""},
		{controller{State: control.StateFollowing, RegisterError: "timeout"}, 503, "register doesn't answer: timeout"},
		{controller{State: control.StateDown, Detail: "no standby"}, 503, "no standby"},
		{controller{State: control.StateStarting}, 503, "it is starting"},
		{controller{State: control.StateVetoed, Detail: "budget"}, 503, "budget"},
	} {
		code, doc := ask(t, failoverhttp.Controller(c.status), "/readyz")
		if reason, _ := doc["reason"].(string); code != c.want || !strings.Contains(reason, c.says) {
			t.Errorf("%+v: %d, %v", c.status, code, doc)
		}
		if code, _ := ask(t, failoverhttp.Controller(c.status), "/livez"); code != 200 {
			t.Errorf("%+v: live %d", c.status, code)
		}
	}
}

// A program serves its client's health.
func Example() {
	h := failoverhttp.Client(client{State: failover.ClientFenced, Epoch: 3})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
	fmt.Print(w.Code, " ", w.Body)
	// Output: 503 {"ok":false,"state":"fenced","reason":"the register hasn't confirmed epoch 3 within the lease"}
}
