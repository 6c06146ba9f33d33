package kafkaconf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	text := strings.Join([]string{
		"# a comment", "! another", "", "   ",
		"plain=value", "  indented = spaced out ", "colon: value", "blank value", "empty=", "alone",
		`long=one,\`, "    two", `escaped\ key\=x=tab\there`, `uni=\u00e9\u2713`, `path=C:\\dir`, `even=a\\`, "twice=1", "twice=2",
		"windows=line\r", `equals=a=b:c`,
	}, "\n")
	got, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"plain": "value", "indented": "spaced out ", "colon": "value", "blank": "value", "empty": "", "alone": "",
		"long": "one,two", "escaped key=x": "tab\there", "uni": "é✓", "path": `C:\dir`, "even": `a\`, "twice": "2",
		"windows": "line", "equals": "a=b:c",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestParseBadEscape(t *testing.T) {
	for _, text := range []string{`a=\u12`, `a=\uzzzz`, `\u=1`} {
		if _, err := Parse("ok=1\n" + text); err == nil || !strings.HasPrefix(err.Error(), "line 2: ") {
			t.Errorf("Parse(%q): %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("a=b\n#c\nd:\\\n e")
	f.Fuzz(func(t *testing.T, text string) {
		props, err := Parse(text)
		if err != nil {
			return
		}
		_, _ = New(props, func(string) string { return "" })
	})
}
