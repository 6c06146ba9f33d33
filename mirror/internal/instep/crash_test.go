package instep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/kafkadr/kafkadr/internal/testkafka"
)

// A process that is killed at any of its writes to the standby, before or after it is done there,
// leaves nothing that the next one doesn't know as ours: all is set in the end, all is removed when
// the source has it no more, and no group looks as if somebody else had moved it.
func TestCrash(t *testing.T) {
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("done=%v", after), func(t *testing.T) {
			t.Parallel()
			for i := int64(1); ; i++ {
				if crash(t, i, after) {
					if i < 10 {
						t.Errorf("only %d writes", i)
					}
					return
				}
				if t.Failed() {
					t.Fatalf("killed at write %d", i)
				}
			}
		})
	}
}

// crash kills at the n-th write, and returns true where there were fewer.
func crash(t *testing.T, n int64, after bool) (whole bool) {
	t.Helper()
	p := fakes(t, testkafka.Options{})
	v := View{Topics: []Topic{p.topic("crash", "crash", 1, map[string]*string{"segment.ms": ptr("9000")}, map[string]*string{"flush.ms": ptr("1")})}}
	acls := parseACLs("GROUP g LITERAL READ", "TOPIC crash LITERAL READ")
	p.putACLs(p.sides.Source.Admin(), "source", acls)
	quota := user(ptr("a"), "producer_byte_rate", 1)
	put(t, p.sides.Source, quota)
	var count atomic.Int64
	var kill atomic.Value // of the process that runs
	k := testkafka.Kfake(p.to)
	k.Control(func(kreq kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		if !slices.Contains([]kmsg.Key{kmsg.Produce, kmsg.OffsetCommit, kmsg.CreateTopics, kmsg.CreateACLs, kmsg.DeleteACLs, kmsg.IncrementalAlterConfigs, kmsg.AlterClientQuotas, kmsg.DeleteGroups}, kmsg.Key(kreq.Key())) {
			return nil, nil, false
		}
		if count.Add(1) != n {
			return nil, nil, false
		}
		kill.Load().(context.CancelFunc)()
		if after {
			return nil, nil, false
		}
		return nil, errors.New("cut"), true
	})
	at := int64(5)
	run := func() {
		for range 5 {
			ctx, cancel := context.WithCancel(ctxOf(t))
			kill.Store(cancel)
			at++
			p.commit(p.src, "g", "crash", 1, at)
			err := p.process(ctx, v)
			killed := ctx.Err() != nil
			cancel()
			switch {
			case killed:
			case err != nil:
				t.Fatal(err)
			default:
				return
			}
		}
		t.Fatal("it never ends")
	}
	run()
	if got := p.own("crash"); got["segment.ms"] != "9000" || !slices.Equal(p.acls(), lines(acls)) {
		t.Errorf("configs %v, ACLs %v", got, p.acls())
	}
	if err := p.quotasDiffer([]Quota{quota}); err != nil {
		t.Error(err)
	}
	p.expect("g", "crash", at)
	p.alter(p.src, "crash", map[string]*string{"segment.ms": nil})
	p.dropACLs(p.sides.Source.Admin(), acls)
	drop(t, p.sides.Source, quota)
	run()
	if got := p.own("crash"); len(got) > 1 && got["segment.ms"] != "" || got["flush.ms"] != "1" || len(p.acls()) > 0 {
		t.Errorf("configs %v, ACLs %v", got, p.acls())
	}
	if err := p.quotasDiffer(nil); err != nil {
		t.Error(err)
	}
	return count.Load() < n
}

// process is one that starts, syncs all there is twice, and ends.
func (p *pair) process(ctx context.Context, v View) error {
	p.sides.Ledger = p.ledger()
	groups := NewGroups(p.eager())
	for _, s := range []Syncer{NewConfigs(p.sides), NewACLs(p.sides, ""), NewQuotas(p.sides), groups, groups} {
		r, err := s.Sync(ctx, v)
		for _, e := range r.Events {
			if e.Kind == GroupDiverged || e.Kind == GroupAdopted {
				p.t.Errorf("%+v", e)
			}
		}
		if err != nil {
			return err
		}
	}
	return groups.Close(ctx)
}
