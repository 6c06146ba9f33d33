package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gocloud.dev/blob"
)

const (
	// maxListed bounds what Scopes lists of one directory, maxBeside the directories that it looks
	// into.
	maxListed = 1000
	maxBeside = 100
)

// Scopes implements [register.Lister]. Where this register has none, it looks into the bucket's
// directories for others, and names their scopes with the prefixes that they have: a prefix that is
// mistyped is found out so. It takes one LIST request for what is there, and up to 201 where
// nothing is.
func (b *Register) Scopes(ctx context.Context) ([]string, error) {
	scopes, err := b.names(ctx, b.cfg.Prefix+"epochs/")
	if err != nil || len(scopes) > 0 {
		return scopes, err
	}
	dirs, err := b.names(ctx, "")
	if err != nil {
		return nil, err
	}
	if parent, _, ok := cutLast(strings.TrimSuffix(b.cfg.Prefix, "/"), "/"); ok {
		more, err := b.names(ctx, parent+"/")
		if err != nil {
			return nil, err
		}
		for _, dir := range more {
			dirs = append(dirs, parent+"/"+dir)
		}
	}
	var found []string
	for _, prefix := range append([]string{""}, dirs[:min(len(dirs), maxBeside)]...) {
		if prefix != "" {
			prefix += "/"
		}
		scopes, err := b.names(ctx, prefix+"epochs/")
		if err != nil {
			return found, err
		}
		for _, scope := range scopes {
			found = append(found, fmt.Sprintf("%s (prefix %q)", scope, prefix))
		}
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// Directories are the names right below a prefix of keys, for a quorum that stands on this one.
func (b *Register) Directories(ctx context.Context, prefix string) ([]string, error) {
	return b.names(ctx, b.cfg.Prefix+prefix)
}

// names are the directories right below a prefix.
func (b *Register) names(ctx context.Context, prefix string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	var names []string
	page := b.b.List(&blob.ListOptions{Prefix: prefix, Delimiter: "/"})
	for range maxListed {
		o, err := page.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("register: list %s: %w", prefix, err)
		}
		if name := strings.TrimSuffix(strings.TrimPrefix(o.Key, prefix), "/"); o.IsDir && name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// cutLast is strings.Cut at the last sep.
func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
