package redact

import (
	"strings"
	"testing"
)

// No value of a secret parameter comes out, whatever a URL looks like.
func FuzzRedact(f *testing.F) {
	f.Add("/a?b=c", "&d=e")
	f.Add("?%", ";#?")
	f.Add("/a#x=1", "")
	f.Add("http://a@b/?c=%3Ftoken=", "%26d")
	f.Fuzz(func(t *testing.T, before, after string) {
		const secret = "s3cret-of-somebody"
		if !strings.ContainsAny(before, "?#") || strings.Contains(before, secret) || strings.Contains(after, secret) {
			return
		}
		var r Redactor
		got := r.URL(before + "&token=" + secret + "&" + after)
		if strings.Contains(got, secret) {
			t.Errorf("%q, %q: %q", before, after, got)
		}
		if again := r.URL(got); again != got {
			t.Errorf("%q becomes %q", got, again)
		}
	})
}
