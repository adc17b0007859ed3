package sdk

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
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

// Fields that follow from the message are not a filter's business.
func TestFramed(t *testing.T) {
	f := Filter{Request: func(x *Exchange) Verdict {
		x.Request.Fields.Set("Connection", "close")
		x.Response.Fields.Set("content-length", "1000")
		x.Response.Fields.Add("TE", "trailers")
		return Next
	}}
	r := serve(t, f, httptest.NewRequest("GET", "/", nil))
	if r.Header.Get("Content-Length") != "" || r.Header.Get("Te") != "" {
		t.Errorf("%v", r.Header)
	}
}

func TestURI(t *testing.T) {
	f := func(uri, path, query string) {
		t.Helper()
		serve(t, Filter{Request: func(x *Exchange) Verdict {
			if gotPath, gotQuery := x.Request.Path(), x.Request.Query(); gotPath != path || gotQuery != query {
				t.Errorf("%s: got %q and %q, want %q and %q", uri, gotPath, gotQuery, path, query)
			}
			return Next
		}}, httptest.NewRequest("GET", uri, nil))
	}
	f("/", "/", "")
	f("/a%20b?c=d?e", "/a%20b", "c=d?e")
	f("/a?", "/a", "")
}

func TestCookie(t *testing.T) {
	f := func(name, want string, lines ...string) {
		t.Helper()
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = lines
		serve(t, Filter{Request: func(x *Exchange) Verdict {
			if got := x.Request.Cookie(name); got != want {
				t.Errorf("%q: got %q, want %q", lines, got, want)
			}
			return Next
		}}, r)
	}
	f("sid", "")
	f("sid", "1", "sid=1")
	f("sid", "1", "a=b; sid=1; sid=2")
	f("sid", "1=2", "a=b", "asid=0;sid=1=2 ")
	f("sid", "", "sid; Sid=1; xsid=1")
	f("", "", "a; b=c")
}

// A filter reads and chooses the arm in a field that origins see as well.
func TestArm(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Sluice-Arm", "a")
	h, err := Middleware(Filter{Request: func(x *Exchange) Verdict { x.Request.SetArm(x.Request.Arm() + "b"); return Next }}, nil,
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header()["Got"] = r.Header["X-Sluice-Arm"] }))
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if got := w.Header()["Got"]; !slices.Equal(got, []string{"ab"}) {
		t.Errorf("the origin got %q", got)
	}
}

func TestRedirect(t *testing.T) {
	r := serve(t, Filter{Request: func(x *Exchange) Verdict { return x.Redirect(303, "/there") }}, httptest.NewRequest("GET", "/", nil))
	if r.StatusCode != 303 || r.Header.Get("Location") != "/there" || content(t, r) != "" {
		t.Errorf("%d %v", r.StatusCode, r.Header)
	}
}

func TestLog(t *testing.T) {
	var out bytes.Buffer
	before := slog.Default()
	defer slog.SetDefault(before)
	slog.SetDefault(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelWarn})))
	for _, l := range []Level{Debug, Info, Warn, Error} {
		if Logs(l) != (l >= Warn) {
			t.Errorf("Logs(%d) is %v", l, Logs(l))
		}
		Log(l, "seen")
	}
	if got := out.String(); strings.Count(got, "level=WARN msg=seen") != 1 || strings.Count(got, "level=ERROR msg=seen") != 1 || strings.Count(got, "\n") != 2 {
		t.Errorf("logged %s", got)
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
	request := func(f func(x *Exchange)) Filter {
		return Filter{Request: func(x *Exchange) Verdict { f(x); return Next }}
	}
	f("a method of two words", request(func(x *Exchange) { x.Request.SetMethod("GET /") }))
	f("an empty method", request(func(x *Exchange) { x.Request.SetMethod("") }))
	f("a relative URI", request(func(x *Exchange) { x.Request.SetURI("a") }))
	f("an absolute URI", request(func(x *Exchange) { x.Request.SetURI("http://example.org/") }))
	f("a URI that is not encoded", request(func(x *Exchange) { x.Request.SetURI("/a b") }))
	f("a URI with a fragment", request(func(x *Exchange) { x.Request.SetURI("/a#b") }))
	f("a field name with a colon", request(func(x *Exchange) { x.Request.Fields.Set("a:", "b") }))
	f("a field of two lines", request(func(x *Exchange) { x.Response.Fields.Add("a", "b\r\nc: d") }))
	f("an interim status", request(func(x *Exchange) { x.Response.SetStatus(103) }))
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
