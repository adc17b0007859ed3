package edge

import (
	"strings"
	"testing"
)

func TestCookie(t *testing.T) {
	check := func(name, want string, wantOK bool, lines ...string) {
		t.Helper()
		var f Fields
		f.Add("Accept", "sid=no")
		for _, l := range lines {
			f.Add("cookie", l)
		}
		if got, ok := f.Cookie(name); got != want || ok != wantOK {
			t.Errorf("Cookie(%q) of %q = %q, %v, want %q, %v", name, lines, got, ok, want, wantOK)
		}
	}
	check("sid", "", false)
	check("sid", "1", true, "sid=1")
	check("sid", "2", true, "a=b; sid=2; c=d")
	check("sid", "2", true, "a=b;sid=2;c=d") // no space
	check("sid", "3", true, "a=b", "sid=3")  // several lines
	check("sid", "1", true, "sid=1; sid=2")  // the first counts
	check("sid", "", true, "sid=")
	check("sid", "a=b", true, "sid=a=b")
	check("sid", "q", true, `sid="q"`)
	check("sid", `"`, true, `sid="`)
	check("sid", "", false, "Sid=1") // case-sensitive
	check("sid", "", false, "xsid=1; sid; sidx=2")
	check("sid", "4", true, ";; ; =; sid=4;")
}

// A cookie that is found stands in a line, with its name before it.
func FuzzCookie(f *testing.F) {
	for _, s := range []string{"sid=1", "a=b; sid=2", `sid="q"`, "sid", ";;=;sid=", "sid==", "\tsid=1\t;"} {
		f.Add(s, "sid")
	}
	f.Fuzz(func(t *testing.T, line, name string) {
		var fields Fields
		fields.Add("Cookie", line)
		v, ok := fields.Cookie(name)
		if !ok {
			if v != "" {
				t.Fatalf("%q: %q is %q, and is not there", line, name, v)
			}
			return
		}
		if !strings.Contains(line, name+"="+v) && !strings.Contains(line, name+`="`+v+`"`) || strings.Contains(v, ";") {
			t.Fatalf("%q: %q is %q", line, name, v)
		}
	})
}
