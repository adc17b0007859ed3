package edge

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// Every kind has an entry in the table of failures: one without would be
// answered with status 0.
func TestKinds(t *testing.T) {
	for k := InternalError; k <= ClientGone; k++ {
		if s := k.Status(); s < 400 || s > 599 {
			t.Errorf("kind %d (%s): status %d", k, k, s)
		}
		for what, code := range map[string]string{"token": k.String(), "why": k.Why()} {
			if code == "" || strings.Trim(code, "abcdefghijklmnopqrstuvwxyz-_") != "" {
				t.Errorf("kind %d: %s %q is no code", k, what, code)
			}
		}
	}
	if got, want := len(kinds), int(ClientGone)+1; got != want {
		t.Errorf("the table has %d kinds, want %d", got, want)
	}
}

func TestErrorText(t *testing.T) {
	f := func(e *Error, want string) {
		t.Helper()
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f(&Error{Kind: ConnectionRefused, Op: "connect to 192.0.2.1:80"}, "connect to 192.0.2.1:80: connection_refused")
	f(&Error{Kind: ResponseIncomplete, Op: "read the response's body", Err: io.ErrUnexpectedEOF}, "read the response's body: http_response_incomplete: unexpected EOF")
}

func TestAsError(t *testing.T) {
	inner := &Error{Kind: DNSError, Op: "look up"}
	if got := AsError(fmt.Errorf("route shop: %w", inner)); got != inner {
		t.Errorf("got %v, want the error in the chain", got)
	}
	got := AsError(io.EOF)
	if got.Kind != InternalError || !errors.Is(got, io.EOF) {
		t.Errorf("got %v, want an internal error around EOF", got)
	}
}

func TestAnswer(t *testing.T) {
	check := func(err error, wantStatus int, wantBody, wantProxyStatus, wantWhy string) {
		t.Helper()
		x := new(Exchange)
		x.Response.Fields.Add("Set-Cookie", "half=done")
		x.Answer(err)
		r := &x.Response
		if r.Status != wantStatus || x.Record.Why != wantWhy || x.Record.Err != err {
			t.Errorf("%v: got %d, %q, %v, want %d, %q", err, r.Status, x.Record.Why, x.Record.Err, wantStatus, wantWhy)
		}
		if got := r.Fields.Get("Proxy-Status"); got != wantProxyStatus {
			t.Errorf("%v: Proxy-Status %q, want %q", err, got, wantProxyStatus)
		}
		if r.Fields.Has("Set-Cookie") {
			t.Errorf("%v: a field of the response that failed is left", err)
		}
		// Its content is at hand, and can be read as well.
		at := string(Bytes(r.Body))
		read, readErr := io.ReadAll(r.Body)
		if at != wantBody || string(read) != wantBody || readErr != nil || r.Length != int64(len(wantBody)) {
			t.Errorf("%v: got content %q, read %q, %v, length %d, want %q", err, at, read, readErr, r.Length, wantBody)
		}
	}
	secret := errors.New("dial 10.0.0.7:5432: no route to host")
	check(&Error{Kind: ConnectionRefused, Op: "connect", Err: secret}, 502, "502 Bad Gateway\n", "sluice; error=connection_refused", "connect-fail")
	check(&Error{Kind: RequestError, Status: 431, Op: "read"}, 431, "431 Request Header Fields Too Large\n", "sluice; error=http_request_error", "bad-request")
	check(&Error{Kind: RequestDenied, Status: 444, Op: "read"}, 444, "444 Error\n", "sluice; error=http_request_denied", "denied")
	check(secret, 500, "500 Internal Server Error\n", "sluice; error=proxy_internal_error", "internal")
	check(&Error{Kind: FunctionFailed, Op: "run hello"}, 500, "500 Internal Server Error\n", "sluice; error=proxy_internal_error", "function-trap")
	check(&Error{Kind: ClientGone, Op: "write"}, 499, "499 Error\n", "", "client-gone") // nobody reads it
	check(&Error{Kind: RequestDenied, Status: 302, Op: "log in"}, 302, "", "sluice; error=http_request_denied", "denied")
}

// Only the first failure is the cause: what follows from it is not.
func TestAnswerKeepsTheCause(t *testing.T) {
	x := new(Exchange)
	first := &Error{Kind: FilterFailed, Op: "run auth"}
	x.Answer(first)
	x.Answer(&Error{Kind: ConnectionTerminated, Op: "read"})
	if x.Record.Err != first || x.Record.Why != "filter-trap" {
		t.Errorf("got %v, %q, want the first cause", x.Record.Err, x.Record.Why)
	}
	if x.Response.Status != 502 {
		t.Errorf("got status %d, want that of the last", x.Response.Status)
	}
}

func TestContent(t *testing.T) {
	b := Content([]byte("hello"))
	var p [3]byte
	n, err := b.Read(p[:])
	if string(p[:n]) != "hel" || err != nil {
		t.Errorf("first read: %q, %v", p[:n], err)
	}
	if got := string(Bytes(b)); got != "hello" {
		t.Errorf("Bytes after a read = %q, want all", got)
	}
	n, err = b.Read(p[:])
	if string(p[:n]) != "lo" || err != io.EOF { // EOF with the last bytes
		t.Errorf("second read: %q, %v", p[:n], err)
	}
	if n, err := b.Read(p[:]); n != 0 || err != io.EOF {
		t.Errorf("third read: %d, %v", n, err)
	}
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if got := Bytes(nil); got != nil {
		t.Errorf("Bytes(nil) = %q", got)
	}
	if n, err := Content(nil).Read(p[:]); n != 0 || err != io.EOF {
		t.Errorf("read of empty content: %d, %v", n, err)
	}
}
