package edge

import "testing"

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
