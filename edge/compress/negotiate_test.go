package compress

import (
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

func choose(prefer []coding, lines ...string) string {
	var f edge.Fields
	for _, l := range lines {
		f.Add("Accept-Encoding", l)
	}
	if c, ok := negotiate(&f, prefer); ok {
		return c.String()
	}
	return ""
}

func TestNegotiate(t *testing.T) {
	all := []coding{br, zst, gz}
	for _, c := range []struct{ accept, want string }{
		{"", ""},
		{"gzip", "gzip"},
		{"x-gzip", "gzip"},
		{"GZIP", "gzip"},
		{"gzip, deflate, br, zstd", "br"},
		{"gzip, zstd", "zstd"},
		{"gzip;q=1.0, br;q=0.9", "gzip"},
		{"gzip;q=0.5, br;q=0.5", "br"},
		{"gzip;q=0.001", "gzip"},
		{"br;q=0, gzip", "gzip"},
		{"br;q=0.000, gzip;q=0", ""},
		{"*", "br"},
		{"*;q=0.5, gzip", "gzip"},
		{"br;q=0, *", "zstd"},
		{"*;q=0, gzip", "gzip"},
		{"*;q=0", ""},
		{"identity", ""},
		{"identity;q=0", ""}, // nothing is acceptable: identity all the same
		{"identity;q=0, gzip;q=0.1", "gzip"},
		{"identity, gzip;q=0.5", ""},
		{"identity;q=0.5, gzip", "gzip"},
		{"identity;q=0.5, gzip;q=0.5", "gzip"},
		{"deflate, compress", ""},
		{"gzip;q=2, br;q=0.1", "br"}, // a weight that is none
		{"gzip;q=0.1234, br;q=0.1", "br"},
		{"gzip;q=, br;q=x", ""},
		{"gzip ; q=0.7 , br;q=0.6", "gzip"},
		{"gzip;Q=0.7, br;q=0.6", "gzip"},
		{"gzip;q=1.001", ""},
		{"gzip;q=0.1;x=y", ""},
		{",,gzip,,", "gzip"},
		{"gzipped", ""},
	} {
		if got := choose(all, c.accept); got != c.want {
			t.Errorf("%q: %q, want %q", c.accept, got, c.want)
		}
	}
	if got := choose(all, "gzip", "br"); got != "br" {
		t.Errorf("two lines: %q", got)
	}
	if got := choose(all); got != "" {
		t.Errorf("no line: %q", got)
	}
	if got := choose([]coding{gz, br}, "zstd, br, gzip"); got != "gzip" {
		t.Errorf("own preference: %q", got)
	}
	if got := choose([]coding{gz}, "*, gzip;q=0"); got != "" {
		t.Errorf("one only: %q", got)
	}
}

func FuzzNegotiate(f *testing.F) {
	for _, s := range []string{"", "gzip, deflate, br", "*;q=0, gzip;q=0.5", "identity;q=0", ",;,q=", "br;q=1.000", "zstd ; q=0.3,x"} {
		f.Add(s)
	}
	all := []coding{br, zst, gz}
	f.Fuzz(func(t *testing.T, s string) {
		got := choose(all, s)
		low := strings.ToLower(s)
		if got != "" && !strings.Contains(low, got) && !strings.Contains(s, "*") {
			t.Fatalf("%q: %q, which it does not name", s, got)
		}
		// What a line more forbids is not chosen.
		for _, c := range all {
			if got := choose(all, s, c.String()+";q=0"); got == c.String() {
				t.Fatalf("%q: %q, which is refused", s, got)
			}
		}
		// What a line more weighs highest is chosen, but for its equals.
		if got := choose([]coding{gz}, s, "gzip;q=1"); got != "gzip" {
			t.Fatalf("%q: %q, want gzip", s, got)
		}
	})
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		ok  bool
	}{
		{Config{}, true},
		{Config{Prefer: []string{"gzip", "BR"}, Level: 9, Types: []string{"text/*", "+json", "a/b"}, Min: 1, Whole: 1, Active: 1, Idle: 1}, true},
		{Config{Prefer: []string{"deflate"}}, false},
		{Config{Prefer: []string{"gzip", "x-gzip"}}, false},
		{Config{Level: -1}, false},
		{Config{Level: 10}, false},
		{Config{Types: []string{"html"}}, false},
		{Config{Types: []string{""}}, false},
		{Config{Types: []string{"text/html; charset=utf-8"}}, false},
		{Config{Min: -1}, false},
		{Config{Whole: -1}, false},
		{Config{Active: -1}, false},
		{Config{Idle: -1}, false},
	} {
		if err := c.cfg.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	for level := range 10 {
		for c := range codings {
			newCodec(c, levelOf(c, level, true))
		}
	}
}
