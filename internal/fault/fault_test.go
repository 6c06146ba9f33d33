package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/kafkadr/kafkadr/backup"
	"github.com/kafkadr/kafkadr/failover"
	"github.com/kafkadr/kafkadr/failover/control"
	"github.com/kafkadr/kafkadr/failover/drill"
	"github.com/kafkadr/kafkadr/internal/fault"
	"github.com/kafkadr/kafkadr/mirror"
	"github.com/kafkadr/kafkadr/offsets"
	"github.com/kafkadr/kafkadr/offsets/mm2"
	"github.com/kafkadr/kafkadr/restore"
)

// TestConfigErrors: every job's configuration without anything in it is one error with all faults,
// which one errors.As finds.
func TestConfigErrors(t *testing.T) {
	_, followErr := backup.NewFollower(backup.FollowerConfig{})
	_, backupErr := backup.Run(t.Context(), backup.Config{})
	_, restoreErr := restore.NewPlan(t.Context(), restore.Config{})
	_, mirrorErr := mirror.New(mirror.Config{})
	_, offsetsErr := offsets.Capture(t.Context(), nil, offsets.CaptureConfig{Only: []string{"("}})
	_, mm2Err := mm2.Open(t.Context(), nil, mm2.Config{RetryFor: -1})
	_, clientErr := failover.NewClient(t.Context(), failover.Config{})
	_, controlErr := control.New(control.Config{})
	_, drillErr := drill.Run(t.Context(), drill.Config{})
	for job, err := range map[string]error{
		"follow": followErr, "backup": backupErr, "restore": restoreErr, "mirror": mirrorErr, "offsets": offsetsErr, "mm2": mm2Err,
		"failover": clientErr, "control": controlErr, "drill": drillErr,
	} {
		var faults *fault.ConfigError
		if !errors.As(err, &faults) || len(faults.Errs) == 0 || faults.Job == "" {
			t.Errorf("%s: %v", job, err)
		}
	}
}

// TestFamily: a job's own name of a type is the type.
func TestFamily(t *testing.T) {
	var config *fault.ConfigError
	for _, err := range []error{
		&backup.ConfigError{}, &restore.ConfigError{}, &mirror.ConfigError{}, &offsets.ConfigError{}, &mm2.ConfigError{}, &failover.ConfigError{}, &drill.ConfigError{},
	} {
		if !errors.As(fmt.Errorf("x: %w", err), &config) {
			t.Errorf("%T", err)
		}
	}
	var refused *fault.RefusedError
	for _, err := range []error{
		&restore.RefusedError{}, &mirror.RefusedError{}, &control.RefusedError{},
		&offsets.RefusedError{Refused: []offsets.Refusal{{Group: "g", Why: offsets.WhyActive}}},
	} {
		if !errors.As(fmt.Errorf("x: %w", err), &refused) {
			t.Errorf("%T", err)
		}
	}
	if len(refused.Conflicts) != 1 || refused.Conflicts[0].Group != "g" || refused.Conflicts[0].Kind != string(offsets.WhyActive) {
		t.Errorf("of groups: %v", refused)
	}
	var placed *fault.PartitionError
	for _, err := range []error{
		&backup.PartitionError{Err: io.EOF}, &restore.PartitionError{Err: io.EOF}, &offsets.PartitionError{Err: io.EOF},
		&mirror.StoppedError{Errs: []error{&mirror.EventError{Event: mirror.Event{Topic: "t", Partition: 3, Offset: 7}, Err: io.EOF}}},
	} {
		if !errors.As(fmt.Errorf("x: %w", err), &placed) || !errors.Is(err, io.EOF) {
			t.Errorf("%T", err)
		}
	}
	if placed.Topic != "t" || placed.Partition != 3 || placed.Offset != 7 || placed.Job != "mirror" {
		t.Errorf("of an event: %v", placed)
	}
}

func Example() {
	err := error(&fault.PartitionError{Job: "restore", Topic: "two words", Partition: 3, Offset: 1842, Op: "produce", Err: io.ErrUnexpectedEOF})
	fmt.Println(err)
	fmt.Println(&fault.RefusedError{Job: "mirror", Conflicts: []fault.Conflict{
		{Topic: "orders", Partition: -1, Offset: -1, Kind: "loop", Detail: "the topic is a copy of the target's"},
		{Topic: "orders", Partition: 0, Offset: 5, Kind: "foreign_writer", Detail: "records of another writer"},
	}})
	fmt.Println(fault.Config("backup", errors.New("Source is empty"), errors.New("Archive is nil")))
	// Output:
	// restore: "two words"/3 at 1842: produce: unexpected EOF
	// mirror: refused: orders: loop: the topic is a copy of the target's; orders/0 at 5: foreign_writer: records of another writer
	// backup: configuration: Source is empty; Archive is nil
}
