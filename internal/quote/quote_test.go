package quote

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

func TestName(t *testing.T) {
	for name, want := range map[string]string{
		"orders":          "orders",
		"a.b_c-d":         "a.b_c-d",
		"заказы":          "заказы",
		"User:CN=a":       "User:CN=a",
		"__x":             "__x",
		"":                `""`,
		"-f":              `"-f"`,
		"a b":             `"a b"`,
		"a\nb":            `"a\nb"`,
		"a\x1b[2Jb":       `"a\x1b[2Jb"`,
		`a"b`:             `"a\"b"`,
		"it's":            `"it's"`,
		`a\nb`:            `"a\\nb"`,
		"a,b":             `"a,b"`,
		"\xff":            `"\xff"`,
		"a\u202eb":        `"a\u202eb"`, // turns the direction of what follows
		"a\u00a0b":        `"a\u00a0b"`, // a space that isn't seen as one
		"line\u2028break": `"line\u2028break"`,
	} {
		if got := Name(name); got != want {
			t.Errorf("%q: %s, want %s", name, got, want)
		}
	}
	if got := Names([]string{"a", "b c"}); got != `a, "b c"` {
		t.Errorf("got %s", got)
	}
}

// FuzzName: what is printed is one word or a literal, and says which name it is.
func FuzzName(f *testing.F) {
	f.Add("orders")
	f.Add("\"orders\"")
	f.Add("\xff\x00")
	f.Fuzz(func(t *testing.T, name string) {
		got := Name(name)
		if back, err := strconv.Unquote(got); strings.HasPrefix(got, `"`) && (err != nil || back != name) || !strings.HasPrefix(got, `"`) && got != name {
			t.Errorf("%q: %s", name, got)
		}
		if strings.ContainsAny(got, "\n\r\x1b\t") {
			t.Errorf("%q: %q", name, got)
		}
	})
}

func ExampleName() {
	fmt.Println(Name("orders"), Name("two words"), Name("-rf"))
	// Output: orders "two words" "-rf"
}
