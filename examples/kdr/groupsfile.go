package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"

	"github.com/kafkadr/kafkadr/offsets"
)

// read reads the file, without the groups that aren't chosen.
func (f *groupsFlags) read() (*offsets.Groups, error) {
	groups, err := readGroupsFile(f.file)
	if err != nil {
		return nil, err
	}
	matches := func(texts []string, name string) bool {
		return slices.ContainsFunc(texts, func(text string) bool {
			ok, err := regexp.MatchString("^(?:"+text+")$", name)
			return ok && err == nil
		})
	}
	groups.Groups = slices.DeleteFunc(groups.Groups, func(g offsets.Group) bool {
		return len(f.groups) > 0 && !matches(f.groups, g.Group) || matches(f.exclude, g.Group)
	})
	return groups, nil
}

// ready says whether the files are there that the action needs, before any cluster is asked.
func (f *groupsFlags) ready() (err error) {
	switch f.action {
	case "snapshot":
		_, err = os.Stat(filepath.Dir(f.file))
		if err == nil {
			if _, err = readGroupsFile(f.file); errors.Is(err, fs.ErrNotExist) {
				err = nil
			}
		}
	case "rollback":
		_, err = readBefore(f.rollbackFile)
	default:
		_, err = readGroupsFile(f.file)
	}
	return err
}

// readGroupsFile reads what snapshot wrote.
func readGroupsFile(path string) (*offsets.Groups, error) {
	groups := &offsets.Groups{}
	if err := readJSONFile(path, groups); err != nil {
		return nil, err
	}
	return groups, checkCluster(path, groups.ClusterID)
}

// readBefore reads what apply wrote for rollback.
func readBefore(path string) (*offsets.Before, error) {
	before := &offsets.Before{}
	if err := readJSONFile(path, before); err != nil {
		return nil, err
	}
	return before, checkCluster(path, before.ClusterID)
}

// checkCluster refuses a document that names no cluster: any empty one would be read as having
// nothing to do.
func checkCluster(path, id string) error {
	if id == "" {
		return fmt.Errorf("%s: not a file that this command wrote: it names no cluster", path)
	}
	return nil
}

// readJSONFile reads a document, and refuses one of another kind.
func readJSONFile(path string, into any) error {
	r, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("%s: not a file that this command wrote: %w", path, err)
	}
	if dec.More() {
		return fmt.Errorf("%s: not a file that this command wrote: more than one document", path)
	}
	return nil
}

// replaceFile writes a document in the place of what was there, whole or not at all.
func replaceFile(path string, v any) error {
	w, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	if err := writeDocument(w, v); err != nil {
		_ = os.Remove(w.Name())
		return err
	}
	if err := os.Rename(w.Name(), path); err != nil {
		_ = os.Remove(w.Name())
		return err
	}
	return syncDir(path)
}

// saveBefore writes what was committed before, durably. What an earlier run that broke off wrote
// stays, if this one only goes on with it; anything else there is not written over.
func saveBefore(path string, before *offsets.Before) error {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		old := &offsets.Before{}
		if readJSONFile(path, old) == nil && goesOn(old, before) {
			return nil
		}
		return &refusedError{fmt.Sprintf("%s is there: roll back with it, move it away, or name another --rollback-file", path)}
	}
	if err != nil {
		return err
	}
	if err := writeDocument(w, before); err != nil {
		_ = os.Remove(path)
		return err
	}
	return syncDir(path)
}

// goesOn says whether all that is to be committed was to be committed by the run before, over the
// same.
func goesOn(old, before *offsets.Before) bool {
	type place struct {
		group, topic string
		partition    int32
	}
	had := map[place]offsets.BeforeOffset{}
	for _, g := range old.Groups {
		for _, o := range g.Offsets {
			had[place{g.Group, o.Set.Topic, o.Set.Partition}] = o
		}
	}
	for _, g := range before.Groups {
		for _, o := range g.Offsets {
			was, ok := had[place{g.Group, o.Set.Topic, o.Set.Partition}]
			if !ok || !reflect.DeepEqual(was, o) {
				return false
			}
		}
	}
	return old.ClusterID == before.ClusterID
}

func writeDocument(w *os.File, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return errors.Join(enc.Encode(v), w.Sync(), w.Close())
}

// syncDir makes a file's name durable.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
