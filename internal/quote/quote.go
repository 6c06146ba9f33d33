// Package quote prints names that come from a cluster (topics, groups, principals, clients) for
// people.
//
// # Guarantee
//
// What [Name] returns is one word of printable characters, or a Go string literal: a name can't end
// a line, pass for a flag or for two names, or drive a terminal. Different names are printed
// differently.
//
// # Limits
//
// It is for text. JSON has the names as they are.
package quote

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name returns the name as it is, or quoted as Go does where it is empty, has a space, a quote, a
// backslash, a comma or a character that can't be printed, isn't UTF-8, or begins with a dash.
func Name(name string) string {
	plain := name != "" && name[0] != '-' && utf8.ValidString(name) &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return strings.ContainsRune("\"'`\\,", r) || !unicode.IsGraphic(r) || unicode.IsSpace(r)
		})
	if plain {
		return name
	}
	return strconv.Quote(name)
}

// Names are all of them, with commas between.
func Names(names []string) string {
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = Name(name)
	}
	return strings.Join(quoted, ", ")
}
