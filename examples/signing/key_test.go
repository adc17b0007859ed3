package main

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// The keys of RFC 9421, appendix B.1.
const (
	testShared  = "base64:uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
	testPrivate = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF\n-----END PRIVATE KEY-----\n"
	testPublic  = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAJrQLj5P/89iXES9+vFgrIy29clF9CC/oPPsw3c5D0bs=\n-----END PUBLIC KEY-----\n"
)

// The request of RFC 9421, appendix B.2.
var testRequest = &message{"POST", "/foo?param=Value&Pet=dog", "https", http.Header{
	"Host":           {"example.com"},
	"Date":           {"Tue, 20 Apr 2021 02:07:55 GMT"},
	"Content-Type":   {"application/json"},
	"Content-Length": {"18"},
}.Values}

// The signatures of RFC 9421, appendix B.2.
func TestVectors(t *testing.T) {
	f := func(input, algorithm, public, private, want string) {
		t.Helper()
		list, err := parseDictionary(input)
		if err != nil {
			t.Fatal(err)
		}
		params := serialize(list[0].items, list[0].params)
		if got := list[0].name + "=" + params; got != input {
			t.Errorf("got %s, want %s", got, input)
		}
		text, err := testRequest.base(list[0].items, params)
		if err != nil {
			t.Fatal(err)
		}
		k, err := parseKey(algorithm, []byte(private))
		if err != nil {
			t.Fatal(err)
		}
		if got := base64.StdEncoding.EncodeToString(k.sign(text)); got != want {
			t.Errorf("%s: got %s, want %s", input, got, want)
		}
		if k, err = parseKey(algorithm, []byte(public)); err != nil {
			t.Fatal(err)
		}
		signature, err := base64.StdEncoding.DecodeString(want)
		if err != nil {
			t.Fatal(err)
		}
		if !k.verifies(text, signature) || k.verifies(text+" ", signature) || k.verifies(text, signature[1:]) || k.verifies(text, nil) {
			t.Errorf("%s: it does not verify, or too much does", input)
		}
	}
	f(`sig-b25=("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"`, hmacSHA256, testShared, testShared,
		"pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=")
	f(`sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"`, edDSA, testPublic, testPrivate,
		"wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==")
}

// Examples of RFC 9421, sections 2.1 and 2.2.
func TestComponents(t *testing.T) {
	m := &message{"POST", "/path?param=value", "https", http.Header{
		"Host":          {"www.EXAMPLE.com:443"},
		"Cache-Control": {"max-age=60", "   must-revalidate "},
		"X-Empty":       {""},
		"X-Bad":         {"a\n\"@method\": GET"},
	}.Values}
	f := func(name, want string) {
		t.Helper()
		if got, err := m.component(name); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	f("@method", "POST")
	f("@target-uri", "https://www.example.com/path?param=value")
	f("@authority", "www.example.com")
	f("@scheme", "https")
	f("@request-target", "/path?param=value")
	f("@path", "/path")
	f("@query", "?param=value")
	f("cache-control", "max-age=60, must-revalidate")
	f("x-empty", "")
	m.uri, m.scheme = "/", "http"
	f("@query", "?")
	f("@authority", "www.example.com:443")
	for _, name := range []string{"x-none", "x-bad"} {
		if got, err := m.component(name); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestParseKey(t *testing.T) {
	f := func(algorithm, secret, want string) {
		t.Helper()
		if _, err := parseKey(algorithm, []byte(secret)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s %.20q: error is %v, want %q", algorithm, secret, err, want)
		}
	}
	f("", "0123456789abcdef", `the algorithm is ""`)
	f("none", "0123456789abcdef", `the algorithm is "none"`)
	f(hmacSHA256, "0123456789abcde", "it has 15 bytes, want at least 16")
	f(hmacSHA256, "base64:AAAA", "it has 3 bytes")
	f(hmacSHA256, "base64:*", "illegal base64")
	f(hmacSHA256, testPublic, "not PEM")
	f(edDSA, "0123456789abcdef0123456789abcdef", "want a key in PEM")
	f(edDSA, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", `"public key" is no key for Ed25519`)
}
