package function

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// answer runs f as a CGI program, and returns what it prints.
func answer(t *testing.T, env []string, stdin string, f func(w *Response, r *Request)) string {
	t.Helper()
	var out bytes.Buffer
	if err := serve(env, strings.NewReader(stdin), &out, f); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRequest(t *testing.T) {
	env := []string{"REQUEST_METHOD=POST", "SCRIPT_NAME=/hello", "PATH_INFO=/å b", "QUERY_STRING=name=you+two&name=c&bad=%zz", "HTTPS=on",
		"SERVER_NAME=example.org", "SERVER_PORT=8443", "SERVER_PROTOCOL=HTTP/2.0", "REMOTE_ADDR=192.0.2.1", "REQUEST_ID=01J", "CONTENT_TYPE=text/x", "CONTENT_LENGTH=5",
		"HTTP_X_REQUEST_ID=1=2", "HTTP_ACCEPT=a, b", "PATH=/bin", "HTTP_"}
	answer(t, env, "12345678", func(w *Response, r *Request) {
		b, err := io.ReadAll(r.Body)
		got := fmt.Sprint(r.Method, r.Path, r.Info, r.URI, r.Scheme, r.Host, r.Proto, r.Client, r.ID, string(b), err, r.Param("name"), r.Param("none"))
		want := fmt.Sprint("POST", "/hello/å b", "/å b", "/hello/%C3%A5%20b?name=you+two&name=c&bad=%zz", "https", "example.org:8443", "HTTP/2.0", "192.0.2.1", "01J", "12345", nil, "you two", "")
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := r.Fields.Names(), []string{"Content-Type", "Content-Length", "X-Request-Id", "Accept", ""}; !slices.Equal(got, want) {
			t.Errorf("names are %q, want %q", got, want)
		}
		if got := r.Fields.Get("x-request-id"); got != "1=2" {
			t.Errorf("X-Request-Id is %q", got)
		}
	})
	// What the host says goes before what could be made of the rest.
	answer(t, []string{"REQUEST_URI=/a%2fb?", "PATH_INFO=/a/b", "HTTP_HOST=www.example.org", "SERVER_NAME=example.org"}, "", func(w *Response, r *Request) {
		if r.URI != "/a%2fb?" || r.Host != "www.example.org" {
			t.Errorf("%s %s", r.URI, r.Host)
		}
	})
	answer(t, nil, "", func(w *Response, r *Request) {
		if got := fmt.Sprint(r.Method, r.Path, r.URI, r.Scheme, r.Host); got != "GET//http" {
			t.Errorf("without variables got %s", got)
		}
	})
}

// Content that ends too early says so.
func TestShortContent(t *testing.T) {
	answer(t, []string{"CONTENT_LENGTH=9"}, "12345", func(w *Response, r *Request) {
		if b, err := io.ReadAll(r.Body); !errors.Is(err, io.ErrUnexpectedEOF) || string(b) != "12345" {
			t.Errorf("read %q, %v", b, err)
		}
	})
	for _, env := range []string{"CONTENT_LENGTH=-1", "CONTENT_LENGTH=x", "CONTENT_LENGTH="} { // taken as none
		answer(t, []string{env}, "12345", func(w *Response, r *Request) {
			if b, err := io.ReadAll(r.Body); err != nil || string(b) != "12345" {
				t.Errorf("%s: read %q, %v", env, b, err)
			}
		})
	}
}

func TestResponse(t *testing.T) {
	f := func(want string, f func(w *Response, r *Request)) {
		t.Helper()
		if got := answer(t, nil, "", f); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	f("Status: 200 \r\n\r\n", func(*Response, *Request) {})
	f("Status: 200 \r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello", func(w *Response, _ *Request) { w.WriteString("hel"); w.WriteString("lo") })
	f("Status: 404 \r\nContent-Type: text/plain; charset=utf-8\r\n\r\nno\n", func(w *Response, _ *Request) { w.Answer(404, "no\n") })
	f("Status: 303 \r\nLocation: /there\r\n\r\n", func(w *Response, _ *Request) { w.Redirect(303, "/there") })
	f("Status: 201 \r\nX-A: 1\r\nx-a: 2\r\nX-B: a  Status: 500  b\r\nContent-Type: text/html\r\n\r\n<p>", func(w *Response, _ *Request) {
		w.Fields.Add("X-A", "1")
		w.Fields.Add("x-a", "2")
		w.Fields.Add("X-C", "gone")
		w.Fields.Set("X-B", "a\r\nStatus: 500\v\x7fb") // no way to another field
		w.Fields.Del("x-c")
		w.Fields.Set("Content-Type", "text/html")
		if got := w.Fields.Values("X-A"); !slices.Equal(got, []string{"1", "2"}) {
			t.Errorf("values are %q", got)
		}
		if got := w.Fields.Names(); !slices.Equal(got, []string{"X-A", "X-B", "Content-Type"}) {
			t.Errorf("names are %q", got)
		}
		w.SetStatus(201)
		w.WriteString("<p>")
		w.SetStatus(500) // too late
		w.Fields.Set("X-Late", "a")
	})
}

// writes records each write.
type writes []string

func (w *writes) Write(p []byte) (int, error) {
	*w = append(*w, string(p))
	return len(p), nil
}

// What is flushed goes out, and nothing before it has to.
func TestFlush(t *testing.T) {
	var out writes
	err := serve(nil, nil, &out, func(w *Response, _ *Request) {
		w.WriteString("one ")
		if len(out) != 0 {
			t.Errorf("%q went out early", out)
		}
		w.Flush()
		w.WriteString("two")
	})
	if err != nil || len(out) != 2 || !strings.HasSuffix(out[0], "\r\n\r\none ") || out[1] != "two" {
		t.Errorf("%q, %v", out, err)
	}
}

type deaf struct{}

func (deaf) Write([]byte) (int, error) { return 0, errors.New("nobody listens") }

func TestClientGone(t *testing.T) {
	if err := serve(nil, nil, deaf{}, func(*Response, *Request) {}); err == nil {
		t.Error("no error")
	}
	err := serve(nil, nil, deaf{}, func(w *Response, _ *Request) {
		w.WriteString("a")
		if err := w.Flush(); err == nil {
			t.Error("Flush has no error")
		}
		if _, err := w.WriteString("b"); err == nil {
			t.Error("Write has no error")
		}
	})
	if err == nil {
		t.Error("no error")
	}
}

func TestPanics(t *testing.T) {
	f := func(what string, f func(w *Response)) {
		t.Helper()
		defer func() {
			if recover() == nil {
				t.Errorf("%s does not panic", what)
			}
		}()
		f(new(Response))
	}
	f("a field Status", func(w *Response) { w.Fields.Set("status", "200 OK") })
	f("a field without name", func(w *Response) { w.Fields.Add("", "a") })
	f("a field of two words", func(w *Response) { w.Fields.Add("X A", "a") })
	f("a field with a line break", func(w *Response) { w.Fields.Add("X\r\nY", "a") })
	f("an interim status", func(w *Response) { w.SetStatus(100) })
	f("no status", func(w *Response) { w.SetStatus(0) })
	f("a status beyond all", func(w *Response) { w.SetStatus(600) })
}

func TestHandler(t *testing.T) {
	r := httptest.NewRequest("POST", "https://example.org/a%20b?c=d", strings.NewReader("content"))
	r.Header.Set("X-Two", "1")
	r.Header.Add("X-Two", "2")
	r.Header.Set("Content-Type", "text/x")
	w := httptest.NewRecorder()
	Handler(func(w *Response, r *Request) {
		b, _ := io.ReadAll(r.Body)
		w.Fields.Set("X-Got", strings.Join([]string{r.Method, r.Path, r.Info, r.Query, r.URI, r.Scheme, r.Host, r.Proto, r.Client,
			r.Fields.Get("X-Two"), r.Fields.Get("Content-Type"), r.Fields.Get("Content-Length"), string(b)}, "|"))
		w.SetStatus(201)
		w.WriteString("made")
		w.Flush()
	}).ServeHTTP(w, r)
	want := "POST|/a b|/a b|c=d|/a%20b?c=d|https|example.org|HTTP/1.1|192.0.2.1|1, 2|text/x|7|content"
	if got := w.Header().Get("X-Got"); got != want || w.Code != 201 || w.Body.String() != "made" || !w.Flushed {
		t.Errorf("%d %q, got %q, want %q", w.Code, w.Body, got, want)
	}
	r.Body, r.ContentLength = nil, 0
	w = httptest.NewRecorder()
	Handler(func(w *Response, r *Request) { io.Copy(w, r.Body) }).ServeHTTP(w, r)
	if w.Code != 200 || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}
