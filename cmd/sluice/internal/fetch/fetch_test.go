package fetch_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/fetch"
)

// answer says what it was asked, with trailers.
func answer(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/moved":
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
		return
	case "/cut":
		w.Header().Set("Content-Length", "10")
		io.WriteString(w, "five.")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	case "/early":
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
	}
	b, _ := io.ReadAll(r.Body)
	w.Header().Set("Trailer", "X-Sum")
	w.Header()["X-Seen"] = r.Header["X-Test"]
	w.Header().Set("X-Host", r.Host)
	w.WriteHeader(http.StatusTeapot)
	fmt.Fprintf(w, "%s %s %s %d %q %q", r.Proto, r.Method, r.URL.Path, r.ContentLength, b, r.UserAgent())
	w.Header().Set("X-Sum", "42")
}

// servers starts one plain server, and one that speaks everything over TLS, on the
// same port of TCP and UDP.
func servers(t *testing.T) (plain, secure *httptest.Server) {
	t.Helper()
	p := new(http.Protocols)
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	plain = httptest.NewUnstartedServer(http.HandlerFunc(answer))
	plain.Config.Protocols = p
	plain.Start()
	t.Cleanup(plain.Close)
	secure = httptest.NewUnstartedServer(http.HandlerFunc(answer))
	secure.EnableHTTP2 = true
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // handshakes that are meant to fail
	secure.StartTLS()
	t.Cleanup(secure.Close)
	pc, err := net.ListenPacket("udp", secure.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	h3 := &http3.Server{Handler: http.HandlerFunc(answer), TLSConfig: &tls.Config{Certificates: secure.TLS.Certificates}}
	done := make(chan struct{})
	go func() { defer close(done); h3.Serve(pc) }()
	t.Cleanup(func() { h3.Close(); pc.Close(); <-done })
	return plain, secure
}

func roots(s *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	return pool
}

func TestFetch(t *testing.T) {
	plain, secure := servers(t)
	f := func(o fetch.Options, wantInfo, wantOut string) {
		t.Helper()
		o.RootCAs = roots(secure)
		var out, info bytes.Buffer
		if err := fetch.Fetch(t.Context(), o, &out, &info); err != nil {
			t.Error(err)
			return
		}
		if got := strings.TrimSpace(info.String()); got != wantInfo {
			t.Errorf("got  %q\nwant %q", got, wantInfo)
		}
		if out.String() != wantOut {
			t.Errorf("got  %q\nwant %q", out.String(), wantOut)
		}
	}
	bare := strings.TrimPrefix(plain.URL, "http://")
	f(fetch.Options{URL: plain.URL + "/a"}, "HTTP/1.1 418 I'm a teapot", `HTTP/1.1 GET /a 0 "" "sluice-fetch"`)
	f(fetch.Options{URL: bare + "/a"}, "HTTP/1.1 418 I'm a teapot", `HTTP/1.1 GET /a 0 "" "sluice-fetch"`)
	f(fetch.Options{URL: bare + "/a", Proto: fetch.HTTP2}, "HTTP/2 418 I'm a teapot", `HTTP/2.0 GET /a 0 "" "sluice-fetch"`)
	f(fetch.Options{URL: secure.URL + "/a"}, "HTTP/2 418 I'm a teapot", `HTTP/2.0 GET /a 0 "" "sluice-fetch"`)
	f(fetch.Options{URL: secure.URL + "/a", Proto: fetch.HTTP1}, "HTTP/1.1 418 I'm a teapot", `HTTP/1.1 GET /a 0 "" "sluice-fetch"`)
	f(fetch.Options{URL: secure.URL + "/a", Proto: fetch.HTTP2}, "HTTP/2 418 I'm a teapot", `HTTP/2.0 GET /a 0 "" "sluice-fetch"`)
	h3 := strings.TrimPrefix(secure.URL, "https://")
	f(fetch.Options{URL: h3 + "/a", Proto: fetch.HTTP3}, "HTTP/3 418 I'm a teapot", `HTTP/3.0 GET /a -1 "" "sluice-fetch"`)
	// Another address than that of the URL, whose name the certificate is for.
	for proto, name := range map[fetch.Proto]string{fetch.HTTP1: "HTTP/1.1", fetch.HTTP2: "HTTP/2", fetch.HTTP3: "HTTP/3"} {
		var info bytes.Buffer
		o := fetch.Options{URL: "https://example.com/a", Dial: h3, Proto: proto, RootCAs: roots(secure), Show: true}
		if err := fetch.Fetch(t.Context(), o, io.Discard, &info); err != nil || !strings.HasPrefix(info.String(), name+" 418") || !strings.Contains(info.String(), "X-Host: example.com\n") {
			t.Errorf("%s: got %v, %q", proto, err, info.String())
		}
		o.Dial = "127.0.0.1:1"
		if err := fetch.Fetch(t.Context(), o, io.Discard, io.Discard); err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") {
			t.Errorf("%s: got %v, want the address that was asked", proto, err)
		}
	}
	// Content, method, fields, what is shown.
	file := filepath.Join(t.TempDir(), "content")
	if err := os.WriteFile(file, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for proto, name := range map[fetch.Proto]string{fetch.HTTP1: "HTTP/1.1", fetch.HTTP2: "HTTP/2.0", fetch.HTTP3: "HTTP/3.0"} {
		f(fetch.Options{URL: secure.URL, Method: "PUT", Body: strings.NewReader("hi"), Proto: proto}, strings.TrimSuffix(name, ".0")+" 418 I'm a teapot", name+` PUT / 2 "hi" "sluice-fetch"`)
		content, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		f(fetch.Options{URL: secure.URL, Body: content, Proto: proto}, strings.TrimSuffix(name, ".0")+" 418 I'm a teapot", name+` POST / 11 "from a file" "sluice-fetch"`)
		content.Close()
	}
	for _, proto := range []fetch.Proto{fetch.HTTP1, fetch.HTTP2, fetch.HTTP3} {
		var out, info bytes.Buffer
		o := fetch.Options{URL: secure.URL + "/early", Proto: proto, RootCAs: roots(secure), Show: true,
			Fields: []string{"X-Test: a", "x-test:b", "Host: example.org", "User-Agent: me"}}
		if err := fetch.Fetch(t.Context(), o, &out, &info); err != nil {
			t.Errorf("%s: %v", proto, err)
		}
		for _, want := range []string{"103 Early Hints\nLink: </a.css>\n", " 418 I'm a teapot\n", "\nX-Host: example.org\n", "\nX-Seen: a\nX-Seen: b\n", "\n\nX-Sum: 42\n"} {
			if !strings.Contains(info.String(), want) {
				t.Errorf("%s: %q is not in %q", proto, want, info.String())
			}
		}
		if !strings.HasSuffix(out.String(), `"me"`) {
			t.Errorf("%s: got %q", proto, out.String())
		}
	}
	// Redirects are shown, not followed.
	f(fetch.Options{URL: plain.URL + "/moved", Method: "HEAD"}, "HTTP/1.1 302 Found", "")
}

func TestTrustFile(t *testing.T) {
	_, secure := servers(t)
	file := filepath.Join(t.TempDir(), "ca.crt")
	b := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range []fetch.Options{{TrustFile: file}, {Insecure: true}} {
		for _, proto := range []fetch.Proto{fetch.Auto, fetch.HTTP3} {
			o.URL, o.Proto = secure.URL, proto
			if err := fetch.Fetch(t.Context(), o, io.Discard, io.Discard); err != nil {
				t.Errorf("%+v: %v", o, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	plain, secure := servers(t)
	// An address of TCP and UDP where nobody listens.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := l.Addr().String()
	l.Close()
	// One of UDP where somebody listens who does not answer.
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	// One of TLS that knows no name, and speaks HTTP/1.1 only.
	strict, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: []string{"http/1.1"}, GetCertificate: func(h *tls.ClientHelloInfo) (*tls.Certificate, error) {
		if h.ServerName == "localhost" {
			return nil, nil
		}
		return &secure.TLS.Certificates[0], nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan struct{})
	go func() {
		defer close(accepted)
		for {
			c, err := strict.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake()
			c.Close()
		}
	}()
	defer func() { strict.Close(); <-accepted }()
	_, strictPort, _ := net.SplitHostPort(strict.Addr().String())
	garbage := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(garbage, []byte("no PEM"), 0o600); err != nil {
		t.Fatal(err)
	}

	f := func(o fetch.Options, want string) {
		t.Helper()
		err := fetch.Fetch(t.Context(), o, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
	f(fetch.Options{URL: "http://" + gone}, "nobody listens on TCP "+gone)
	f(fetch.Options{URL: "https://" + gone, Proto: fetch.HTTP3}, "no HTTP/3 there: nobody listens on UDP "+gone)
	f(fetch.Options{URL: "https://" + silent.LocalAddr().String(), Proto: fetch.HTTP3, Connect: 50 * time.Millisecond}, "no HTTP/3 there: nobody answers on UDP")
	f(fetch.Options{URL: secure.URL}, "--trust-internal")
	f(fetch.Options{URL: secure.URL, Proto: fetch.HTTP3}, "--trust-internal")
	_, port, _ := net.SplitHostPort(secure.Listener.Addr().String())
	f(fetch.Options{URL: "https://localhost:" + port, Proto: fetch.HTTP1, RootCAs: roots(secure)}, "another name than localhost")
	f(fetch.Options{URL: "https://localhost:" + strictPort, Insecure: true}, "has no site of the name localhost")
	f(fetch.Options{URL: "https://127.0.0.1:" + strictPort, Insecure: true, Proto: fetch.HTTP2}, "speaks no HTTP/2")
	f(fetch.Options{URL: strings.Replace(plain.URL, "http:", "https:", 1)}, "speaks no TLS: use http://")
	f(fetch.Options{URL: "http://a..b/"}, "a..b cannot be found")
	f(fetch.Options{URL: "https://a..b/", Proto: fetch.HTTP3}, "a..b cannot be found")
	f(fetch.Options{URL: plain.URL, Proto: fetch.HTTP3}, "HTTP/3 needs https://")
	f(fetch.Options{URL: "ftp://example.org"}, "expected http:// or https://")
	f(fetch.Options{URL: "http://"}, "names no host")
	f(fetch.Options{URL: "http://a b"}, "is no URL")
	f(fetch.Options{URL: plain.URL, Fields: []string{"no colon"}}, "expected \"Name: value\"")
	f(fetch.Options{URL: plain.URL, TrustFile: garbage}, "no certificate in PEM")
	f(fetch.Options{URL: plain.URL, TrustFile: garbage + "x"}, "authority to trust")
	f(fetch.Options{URL: secure.URL + "/cut", Proto: fetch.HTTP1, Insecure: true}, "not whole")
	f(fetch.Options{URL: secure.URL + "/cut", Proto: fetch.HTTP2, Insecure: true}, "not whole")
	f(fetch.Options{URL: secure.URL + "/cut", Proto: fetch.HTTP3, Insecure: true}, "H3_INTERNAL_ERROR") // a reset overtakes what was sent
	// The cause is kept.
	if err := fetch.Fetch(t.Context(), fetch.Options{URL: gone}, io.Discard, io.Discard); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := fetch.Fetch(ctx, fetch.Options{URL: plain.URL}, io.Discard, io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A server cannot steer the terminal.
func TestControlCharacters(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		c.Read(make([]byte, 1000))
		io.WriteString(c, "HTTP/1.1 200 \x1b[31mOK\r\nX-A: \u009b31m\r\nContent-Length: 0\r\n\r\n")
	}()
	var info bytes.Buffer
	if err := fetch.Fetch(t.Context(), fetch.Options{URL: l.Addr().String(), Show: true}, io.Discard, &info); err != nil {
		t.Fatal(err)
	}
	if s := info.String(); strings.ContainsAny(s, "\x1b\u009b") || !strings.Contains(s, `200 \x1b[31mOK`+"\n") {
		t.Errorf("got %q", s)
	}
}
