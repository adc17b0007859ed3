package redact

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

func TestField(t *testing.T) {
	f := func(name string, want bool) {
		t.Helper()
		var r Redactor
		if got := r.Field(name); got != want {
			t.Errorf("%s: got %t, want %t", name, got, want)
		}
	}
	for _, name := range []string{
		"Authorization", "COOKIE", "Set-Cookie", "Proxy-Authorization", "X-Api-Key", "Api_Key", "X-Auth-Token", "X-CSRF-Token", "X-Amz-Security-Token",
		"X-Vault-Token", "Cf-Access-Jwt-Assertion", "X-Client-Secret", "Dpop-Jwt", "PHPSESSID", "X-Amz-Signature",
	} {
		f(name, true)
	}
	for _, name := range []string{"Accept", "ETag", "Host", "Content-Type", "Token-Type", "X-Request-Id", "Signature-Input", "Sec-Fetch-Mode", "Side"} {
		f(name, false)
	}
}

func TestURL(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		var r Redactor
		if got := r.URL(url); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
	const mark = parameterMark
	f("/a?b=c", "/a?b=c")
	f("/a?b==c&d", "/a?b==c&d")
	f("/a?accessToken=s&newPassword=s&X-Amz-Signature=s&sig=s", "/a?accessToken="+mark+"&newPassword="+mark+"&X-Amz-Signature="+mark+"&sig="+mark)
	f("/a;jsessionid=s?b=c", "/a;jsessionid="+mark+"?b=c")
	f("/callback?code=s&state=1", "/callback?code="+mark+"&state=1")
	f("/phones?code=49", "/phones?code=49")
	f("/a?next=https://ann:s@a.example/", "/a?next=https://"+mark+"@a.example/")
	f("/a?next=https%3A%2F%2Fann%3As%40a.example", "/a?next=https%3A%2F%2F%255Bredacted%255D%40a.example")
	f(within("/a", maxDepth), within("/a", maxDepth))
	f(within("/a", maxDepth+1), within("/a?b="+mark, maxDepth))
}

// within returns a URL that is in another that is in another.
func within(s string, times int) string {
	for range times {
		s = "/a?b=" + url.QueryEscape(s)
	}
	return s
}

func TestContent(t *testing.T) {
	f := func(contentType, content, want string) {
		t.Helper()
		var r Redactor
		if got := string(r.Content([]byte(content), contentType)); got != want {
			t.Errorf("%s: %s: got\n%s\nwant\n%s", contentType, content, got, want)
		}
	}
	const form = "application/x-www-form-urlencoded"
	f("text/plain", "password=s", "password=s")
	f(form+"; charset=utf-8", "user=ann&password=s&a=b", "user=ann&password=%5Bredacted%5D&a=b")
	f(" Application/X-WWW-Form-Urlencoded ;;", "grant_type=authorization_code&code=s", "grant_type=authorization_code&code=%5Bredacted%5D")

	f("application/json", `{"a": {"password" : "s\"s", "b":[1,2]}}`, `{"a": {"password" : "[redacted]", "b":[1,2]}}`)
	f("application/problem+json; charset=utf-8", `{"token":17,"secret":{"a":["}",1]},"tokens":["s","s"],"b":null}`, `{"token":"[redacted]","secret":"[redacted]","tokens":"[redacted]","b":null}`)
	f("", `[{"\u0074oken":"s"}]`, `[{"\u0074oken":"[redacted]"}]`)
	f("text/plain", ` {"password":"s"}`, ` {"password":"[redacted]"}`)
	f("application/x-ndjson", "{\"token\":true}\n{\"token\":1 }\n", "{\"token\":\"[redacted]\"}\n{\"token\":\"[redacted]\" }\n")
	f("application/json", `{"next":"https:\/\/a.example\/?token=s&b=<c>","text":"token=s"}`, `{"next":"https://a.example/?token=%5Bredacted%5D&b=<c>","text":"token=s"}`)
	// Cut off, and no JSON at all.
	f("application/json", `{"password":"s`, `{"password":"[redacted]"`)
	f("application/json", `{"secret":[{"a":"s`, `{"secret":"[redacted]"`)
	f("application/json", `{"password":`, `{"password":`)
	f("application/json", `{"password" "s": }`, `{"password" "s": }`)
	f("application/json", `{"pass\`, `{"pass\`)

	const parts = "multipart/form-data; boundary=x"
	f(parts, "--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nann\r\n--x\r\ncontent-disposition: form-data; name=password\r\n\r\ns\r\n--x--\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nann\r\n--x\r\ncontent-disposition: form-data; name=password\r\n\r\n[redacted]\r\n--x--\r\n")
	f(parts, "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\ns", "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n[redacted]")
	f("multipart/form-data", "--x", "--x")
}

// What was found is bounded, whatever a client calls its parameters.
func TestFound(t *testing.T) {
	var r Redactor
	var b strings.Builder
	for i := range 10 * maxNoted {
		b.WriteString("&password" + strconv.Itoa(i) + "=s")
	}
	r.URL("/a?" + strings.Repeat("b", maxName) + "token=s" + b.String())
	if found := r.Found(); len(found) != maxNoted || found[0] != "password0" {
		t.Errorf("got %d: %s", len(found), found)
	}
}

// No value of a secret member comes out of JSON, whatever stands around it, and what is
// JSON stays that.
func FuzzJSON(f *testing.F) {
	f.Add("a", `[1, {"b": null}]`, 7)
	f.Add("\\\"", `"c"`, 100)
	f.Fuzz(func(t *testing.T, name, other string, cut int) {
		const secret = "s3cret-of-somebody"
		if !json.Valid([]byte(other)) || strings.Contains(name+other, "s3") {
			return
		}
		whole := "{" + string(quoted(name)) + ":" + other + `,"token" : "` + secret + `","c":` + other + "}"
		var r Redactor
		got := r.Content([]byte(whole), "application/json")
		if !json.Valid(got) || bytes.Contains(got, []byte("s3")) {
			t.Errorf("%s becomes %s", whole, got)
		}
		if again := r.Content(got, "application/json"); !bytes.Equal(again, got) {
			t.Errorf("%s becomes %s", got, again)
		}
		part := r.Content([]byte(whole[:min(max(cut, 0), len(whole))]), "application/json")
		if bytes.Contains(part, []byte("s3")) {
			t.Errorf("cut off at %d, %s becomes %s", cut, whole, part)
		}
	})
}

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
