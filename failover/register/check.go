package register

import (
	"fmt"
	"unicode"
	"unicode/utf8"
)

const (
	maxScope = 100
	maxName  = 255
	maxText  = 4096
	maxTopic = 249
	// maxNumber is below what a JSON number of other languages holds exactly.
	maxNumber = 1<<53 - 1
)

// CheckScope says whether a scope's name is allowed: 1 to 100 lower-case letters, digits, dashes
// and dots, with a letter or digit at both ends of each part between dots. That is part of a key in
// every store, file system and Kubernetes. The error is an *[InvalidError].
func CheckScope(scope string) error {
	if scope == "" || len(scope) > maxScope {
		return &InvalidError{Scope: fmt.Sprintf("%.*q", maxScope, scope), Reason: fmt.Sprintf("the scope's name has %d bytes; 1 to %d are allowed", len(scope), maxScope)}
	}
	last := byte('.')
	for i := range len(scope) + 1 {
		c := byte('.')
		if i < len(scope) {
			c = scope[i]
		}
		alnum := 'a' <= c && c <= 'z' || '0' <= c && c <= '9'
		lastAlnum := last != '.' && last != '-'
		if !alnum && c != '-' && c != '.' || c == '.' && !lastAlnum || c == '-' && last == '.' {
			return &InvalidError{Scope: fmt.Sprintf("%q", scope), Reason: "the scope's name isn't lower-case letters, digits, dashes and dots, with a letter or digit at both ends of each part"}
		}
		last = c
	}
	return nil
}

// CheckNumber says whether there can be an epoch of that scope and number; the error is an
// *[InvalidError].
func CheckNumber(scope string, number int64) error {
	if err := CheckScope(scope); err != nil {
		return err
	}
	if number < 1 || number > maxNumber {
		return &InvalidError{Scope: scope, Number: number, Reason: "numbers count from 1"}
	}
	return nil
}

// check says whether an epoch is sound by itself.
func (e *Epoch) check() error {
	if err := CheckNumber(e.Scope, e.Number); err != nil {
		return err
	}
	for _, text := range []struct {
		name, value string
		most        int
	}{
		{"active", e.Active, maxName}, {"active_id", e.ActiveID, maxName}, {"from", e.From, maxName}, {"target", e.Target, maxName},
		{"switch", e.Switch, maxName}, {"by", e.By, maxText}, {"reason", e.Reason, maxText},
	} {
		if reason := checkText(text.value, text.most); reason != "" {
			return e.invalid("%s %s", text.name, reason)
		}
	}
	if y := e.At.Year(); y < 1 || y > 9999 {
		return e.invalid("at is in year %d", y)
	}
	if e.Lease < 0 {
		return e.invalid("its lease is %v", e.Lease)
	}
	if reason := e.checkClusters(); reason != "" {
		return e.invalid("%s", reason)
	}
	if reason := e.checkSwitch(); reason != "" {
		return e.invalid("%s", reason)
	}
	return e.checkForks()
}

func (e *Epoch) invalid(format string, args ...any) error {
	return &InvalidError{Scope: e.Scope, Number: e.Number, Reason: fmt.Sprintf(format, args...)}
}

func checkText(s string, most int) string {
	if len(s) > most {
		return fmt.Sprintf("has %d bytes; %d are allowed", len(s), most)
	}
	if !utf8.ValidString(s) {
		return "isn't UTF-8"
	}
	for _, c := range s {
		if unicode.IsControl(c) && c != '\n' && c != '\t' {
			return "holds control characters"
		}
	}
	return ""
}

// checkClusters says what is wrong with the scope's clusters, or nothing.
func (e *Epoch) checkClusters() string {
	ids := map[string]bool{}
	for i, m := range e.Clusters {
		switch {
		case m.Name == "" || checkText(m.Name, maxName) != "" || checkText(m.ID, maxName) != "":
			return fmt.Sprintf("cluster %d is %.*q, %.*q", i, maxName, m.Name, maxName, m.ID)
		case i > 0 && e.Clusters[i-1].Name >= m.Name:
			return fmt.Sprintf("cluster %s is out of order, or there twice", m.Name)
		case m.ID != "" && ids[m.ID]:
			return fmt.Sprintf("cluster %s has another's ID", m.Name)
		case m.Name == e.Active && m.ID != "" && e.ActiveID != "" && m.ID != e.ActiveID:
			return fmt.Sprintf("cluster %s has two IDs", m.Name)
		}
		ids[m.ID] = true
	}
	if e.Active != "" && !e.Has(e.Active) {
		return "the active cluster isn't one of the scope's"
	}
	return ""
}

// checkSwitch says what is wrong with the fields of the switch, or nothing.
func (e *Epoch) checkSwitch() string {
	first := e.Number == 1
	switch {
	case first && e.Active == "":
		return "the first epoch has no active cluster"
	case first && (e.From != "" || e.Target != "" || e.Switch != "" || e.Planned || e.Stays || len(e.Forks) > 0):
		return "the first epoch is part of a switch"
	case first:
		return ""
	case e.From == "" || e.Target == "" || e.Switch == "":
		return "from, target and switch are required"
	case e.From == e.Target:
		return "the switch goes where it comes from"
	case e.Active == "" && (len(e.Forks) > 0 || e.ActiveID != ""):
		return "a closing epoch has forks, or an active cluster's ID"
	case e.Stays && e.Active != "" && e.Active != e.From:
		return "a switch that stays goes away"
	case e.Active != "" && e.Active != e.From && e.Active != e.Target:
		return "the active cluster isn't one of the switch's"
	}
	return ""
}

func (e *Epoch) checkForks() error {
	for i, f := range e.Forks {
		switch {
		case f.Topic == "" || checkText(f.Topic, maxTopic) != "":
			return e.invalid("fork %d has topic %.*q", i, maxTopic, f.Topic)
		case f.Partition < 0 || f.Offset < 0:
			return e.invalid("fork of %s/%d at %d", f.Topic, f.Partition, f.Offset)
		case i > 0 && compareForks(e.Forks[i-1], f) >= 0:
			return e.invalid("fork of %s/%d is out of order, or there twice", f.Topic, f.Partition)
		}
	}
	return nil
}

// CheckNext says whether next may follow prev: an open epoch is followed by one that closes it, a
// closing one by the opening of the same switch, on either of its clusters. The error is an
// *[InvalidError].
func CheckNext(prev, next Epoch) error {
	if err := next.check(); err != nil {
		return err
	}
	switch {
	case next.Scope != prev.Scope:
		return next.invalid("the one before is of scope %s", prev.Scope)
	case next.Number != prev.Number+1:
		return next.invalid("the one before is number %d", prev.Number)
	case prev.Closing() && next.Closing():
		return next.invalid("a switch is under way: %s", prev.Switch)
	case prev.Closing() && (next.Switch != prev.Switch || next.From != prev.From || next.Target != prev.Target):
		return next.invalid("it opens switch %s from %s to %s; under way is %s from %s to %s", next.Switch, next.From, next.Target, prev.Switch, prev.From, prev.Target)
	case !prev.Closing() && !next.Closing():
		return next.invalid("a switch begins with a closing epoch")
	case !prev.Closing() && next.From != prev.Active:
		return next.invalid("the switch comes from %s; %s is active", next.From, prev.Active)
	case !prev.Closing() && next.Switch == prev.Switch:
		return next.invalid("switch %s has been", next.Switch)
	}
	return nil
}
