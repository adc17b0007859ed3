package sdk

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// serve sends a request through f to an origin that answers with what it got.
func serve(t *testing.T, f Filter, r *http.Request) *http.Response {
	t.Helper()
	h, err := Middleware(f, nil, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Origin", r.Method+" "+r.Host+r.URL.RequestURI()+" "+r.Header.Get("X-A"))
		w.Header().Set("Server", "origin")
		w.WriteHeader(201)
		w.Write(b)
	}))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func content(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestRequest(t *testing.T) {
	f := Filter{Request: func(x *Exchange) Verdict {
		r := x.Request
		if r.Method() != "POST" || r.URI() != "/a?b" || r.Proto() != "HTTP/1.1" || r.Client() != "192.0.2.1:1234" || r.Fields.Get("host") != "example.org" {
			t.Errorf("%s %s %s %s", r.Method(), r.URI(), r.Proto(), r.Client())
		}
		if got := r.Fields.Names(); !slices.Equal(got, []string{"host", "x-a"}) {
			t.Errorf("names are %q", got)
		}
		r.SetMethod("PUT")
		r.SetURI("/c?d")
		r.Fields.Set("Host", "other.example")
		r.Fields.Set("X-A", "set")
		x.Response.Fields.Set("Server", "filter")
		return Next
	}}
	r := httptest.NewRequest("POST", "http://example.org/a?b", strings.NewReader("content"))
	r.Header.Set("X-A", "sent")
	got := serve(t, f, r)
	if o := got.Header.Get("X-Origin"); o != "PUT other.example/c?d set" || got.Header.Get("Server") != "filter" || got.StatusCode != 201 {
		t.Errorf("%d, the origin got %q", got.StatusCode, o)
	}
	if b := content(t, got); b != "content" {
		t.Errorf("content is %q", b)
	}
}

func TestContent(t *testing.T) {
	f := func(f Features, want string, request func(x *Exchange) Verdict, response func(x *Exchange)) {
		t.Helper()
		r := httptest.NewRequest("POST", "/", strings.NewReader("content"))
		if got := content(t, serve(t, Filter{Features: f, Request: request, Response: response}, r)); got != want {
			t.Errorf("content is %q, want %q", got, want)
		}
	}
	read := func(b Body) {
		var p [3]byte
		if n, err := b.Read(p[:]); n != 3 || err != nil || string(p[:]) != "con" {
			t.Errorf("read %q, %v", p[:n], err)
		}
	}
	f(0, "tent", func(x *Exchange) Verdict { read(x.Request.Body); return Next }, nil)
	f(BufferRequest, "content", func(x *Exchange) Verdict { read(x.Request.Body); return Next }, nil)
	f(0, "new content", func(x *Exchange) Verdict {
		b, _ := io.ReadAll(x.Request.Body)
		x.Request.Body.WriteString("new ")
		x.Request.Body.Write(b)
		return Next
	}, nil)
	f(BufferResponse, "content", nil, func(x *Exchange) { read(x.Response.Body) })
	f(BufferResponse, "new", nil, func(x *Exchange) { read(x.Response.Body); x.Response.Body.WriteString("new") })
	f(0, "no entry", func(x *Exchange) Verdict { return x.Answer(403, "no entry") }, nil)
	f(0, "early", func(x *Exchange) Verdict { x.Response.Body.WriteString("early"); return Next }, nil)
}

func TestValue(t *testing.T) {
	f := Filter{
		Features: BufferResponse,
		Request:  func(x *Exchange) Verdict { x.Value = "kept"; return Next },
		Response: func(x *Exchange) {
			x.Response.SetStatus(x.Response.Status() + 1)
			x.Response.Fields.Set("X-Value", x.Value.(string))
		},
	}
	r := serve(t, f, httptest.NewRequest("GET", "/", nil))
	if r.StatusCode != 202 || r.Header.Get("X-Value") != "kept" {
		t.Errorf("%d, %q", r.StatusCode, r.Header.Get("X-Value"))
	}
}

func TestTraps(t *testing.T) {
	f := func(what string, filter Filter) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		serve(t, filter, httptest.NewRequest("GET", "/", nil))
	}
	f("a late request field", Filter{Features: BufferResponse, Response: func(x *Exchange) { x.Request.Fields.Set("a", "b") }})
	f("a late response field", Filter{Response: func(x *Exchange) { x.Response.Fields.Set("a", "b") }})
	f("a trailer without its feature", Filter{Request: func(x *Exchange) Verdict { x.Request.Trailers.Set("a", "b"); return Next }})
}

func TestConfigure(t *testing.T) {
	bad := errors.New("bad")
	_, err := Middleware(Filter{Configure: func(c []byte) error {
		if string(c) != "config" {
			t.Errorf("configuration is %q", c)
		}
		return bad
	}}, []byte("config"), nil)
	if err != bad {
		t.Errorf("error is %v", err)
	}
}
