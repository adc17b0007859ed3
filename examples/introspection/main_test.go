package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// world is what the filter has around it.
type world struct {
	now     time.Time
	kept    map[string][]byte
	ttl     time.Duration // of what was kept last
	broken  error         // of the store
	asked   []string      // what the server was asked
	request *proxy.Fetch  // the last
	status  int
	answer  string
	err     error // of the server
}

func (w *world) gate() *gate {
	return &gate{
		now: func() time.Time { return w.now },
		get: func(key string) ([]byte, error) {
			if v, ok := w.kept[key]; ok || w.broken != nil {
				return v, w.broken
			}
			return nil, proxy.None
		},
		set: func(key string, value []byte, ttl time.Duration) error {
			w.kept[key], w.ttl = value, ttl
			return w.broken
		},
		send: func(f *proxy.Fetch, content string) (int, []byte, error) {
			w.asked, w.request = append(w.asked, content), f
			return w.status, []byte(w.answer), w.err
		},
		secret: func(name string) ([]byte, error) {
			if name != "client" {
				return nil, proxy.None
			}
			return []byte("s3:cret"), nil
		},
	}
}

func newWorld(answer string) *world {
	return &world{now: time.Unix(1000, 0), kept: make(map[string][]byte), status: 200, answer: answer}
}

// get sends a request through the filter, and returns the response with what the
// origin got in X-User and X-Scope.
func (w *world) get(t *testing.T, config string, authorization ...string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := sdk.Middleware(w.gate().filter(), []byte(config), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Origin", r.Header.Get("X-User")+"|"+r.Header.Get("X-Scope"))
	}))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-User", "root")
	r.Header.Set("X-Scope", "all")
	r.Header["Authorization"] = authorization
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

const settings = `{"upstream":"id","client":"shop","scopes":["read"],"fields":{"X-User":"sub","X-Scope":"scope"},"host":"id.example.org"}`

func TestAnswers(t *testing.T) {
	f := func(answer string, status int, origin, challenge string) {
		t.Helper()
		w := newWorld(answer)
		for range 2 { // the second time from what is remembered
			rec := w.get(t, settings, "Bearer abc")
			if got := rec.Header().Get("Origin"); rec.Code != status || got != origin {
				t.Errorf("%s: %d %q %s, want %d %q", answer, rec.Code, got, rec.Body, status, origin)
			}
			if got := rec.Header().Get("WWW-Authenticate"); !strings.Contains(got, challenge) || challenge == "" && got != "" {
				t.Errorf("%s: challenge %q, want %q", answer, got, challenge)
			}
		}
		if want := 1; status != 503 && len(w.asked) != want {
			t.Errorf("%s: asked %d times, want %d", answer, len(w.asked), want)
		}
	}
	inactive := `error="invalid_token", error_description="the token is not active"`
	f(`{"active":true,"sub":"ann","scope":"read write","exp":2000}`, 200, "ann|read write", "")
	f(`{"active":true,"sub":["ann","bob"],"scope":"write read","token_type":"bearer"}`, 200, "ann bob|write read", "")
	f(`{"active":true,"sub":9007199254740993,"scope":"read"}`, 200, "9007199254740993|read", "")
	f(`{"active":true,"scope":"read"}`, 200, "|read", "")
	f(`{"active":false}`, 401, "", inactive)
	f(`{"active":false,"sub":"ann","scope":"read"}`, 401, "", inactive)
	f(`{"active":true,"sub":"ann","scope":"readwrite"}`, 403, "", `error="insufficient_scope", error_description="the token is not for this", scope="read"`)
	f(`{"active":true,"sub":"ann"}`, 403, "", "insufficient_scope")
	f(`{"active":true,"scope":"read","token_type":"DPoP"}`, 401, "", "bound to somebody's key")
	f(`{"active":true,"scope":"read","cnf":{"x5t#S256":"a"}}`, 401, "", "bound to somebody's key")
	// What is no answer says nothing of a token.
	for _, answer := range []string{"", "x", "[]", "null", "{}", `{"Active":true}`, `{"active":"true"}`, `{"active":1}`, `{"active":true}{}`,
		`{"active":true,"exp":"soon"}`, `{"active":true,"exp":1e999}`, `{"active":true,"sub":"a\r\nX-Admin: 1"}`, `{"active":true,"sub":{}}`, `{"active":true,"sub":[1]}`} {
		f(answer, 503, "", "")
	}
}

// An answer is remembered as long as it is said, and not beyond the token's end.
func TestTime(t *testing.T) {
	f := func(config, answer string, want time.Duration) {
		t.Helper()
		w := newWorld(answer)
		w.get(t, config, "Bearer abc")
		if w.ttl != want {
			t.Errorf("%s %s: remembered for %v, want %v", config, answer, w.ttl, want)
		}
	}
	const id = `{"upstream":"id","client":"shop"`
	f(id+`}`, `{"active":true}`, time.Minute)
	f(id+`,"keep":5}`, `{"active":true,"exp":2000}`, 5*time.Second)
	f(id+`}`, `{"active":true,"exp":1002.5}`, 2500*time.Millisecond)
	f(id+`}`, `{"active":true,"exp":1000}`, 0)
	f(id+`}`, `{"active":true,"exp":0}`, 0)
	f(id+`}`, `{"active":true,"exp":-1e300}`, 0)
	f(id+`,"keep":0}`, `{"active":true}`, 0)
	f(id+`}`, `{"active":false}`, 10*time.Second)
	f(id+`,"refused":3}`, `{"active":false}`, 3*time.Second)
	f(id+`,"refused":0}`, `{"active":false}`, 0)

	// A clock that goes on, of a store that does not.
	w := newWorld(`{"active":true,"sub":"ann","scope":"read","exp":1030}`)
	for second, want := range map[int64]int{1029: 200, 1030: 401} {
		w.now = time.Unix(1000, 0)
		w.get(t, settings, "Bearer abc")
		w.now = time.Unix(second, 0)
		if rec := w.get(t, settings, "Bearer abc"); rec.Code != want {
			t.Errorf("at %d: %d, want %d", second, rec.Code, want)
		}
	}
	w = newWorld(`{"active":true,"scope":"read","exp":999}`)
	if rec := w.get(t, settings, "Bearer abc"); rec.Code != 401 || len(w.kept) != 0 {
		t.Errorf("expired, and said to be active: %d, %d remembered", rec.Code, len(w.kept))
	}
}

// The token is in the request to the server, and nowhere else.
func TestRequest(t *testing.T) {
	w := newWorld(`{"active":true,"scope":"read"}`)
	w.get(t, settings, "bEARER  a-b.c_d~e+f/g==")
	form, err := url.ParseQuery(w.asked[0])
	if err != nil || form.Get("token") != "a-b.c_d~e+f/g==" || form.Get("token_type_hint") != "access_token" {
		t.Errorf("asked %q: %v", w.asked[0], err)
	}
	r := &http.Request{Header: make(http.Header)}
	for _, f := range w.request.Fields {
		r.Header.Set(f.Name, f.Value)
	}
	user, password, _ := r.BasicAuth()
	if user != "shop" || password != "s3%3Acret" || r.Header.Get("Host") != "id.example.org" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("the request has %v", w.request.Fields)
	}
	if w.request.Upstream != "id" || w.request.Method != "POST" || w.request.URI != "/introspect" || w.request.Timeout != 2*time.Second {
		t.Errorf("the request is %+v", w.request)
	}
	for key, value := range w.kept {
		if strings.Contains(key+string(value), "c_d") {
			t.Errorf("kept %q: %q", key, value)
		}
	}
	// Others have answers of their own.
	w.get(t, settings, "Bearer other")
	w.get(t, strings.Replace(settings, "read", "write", 1), "Bearer other")
	if len(w.asked) != 3 {
		t.Errorf("asked %d times, want 3", len(w.asked))
	}
}

// What is no token is not asked about.
func TestCredentials(t *testing.T) {
	f := func(status int, challenge string, authorization ...string) {
		t.Helper()
		w := newWorld(`{"active":true}`)
		rec := w.get(t, settings, authorization...)
		if got := rec.Header().Get("WWW-Authenticate"); rec.Code != status || got != challenge || len(w.asked) > 0 {
			t.Errorf("%.40q: %d %q, want %d %q; asked %d times", authorization, rec.Code, got, status, challenge, len(w.asked))
		}
	}
	const none, malformed = `Bearer realm="sluice"`, `Bearer realm="sluice", error="invalid_token", error_description="the token is malformed"`
	f(401, none)
	f(401, none, "")
	f(401, none, "Bearer")
	f(401, none, "Basic YTpi")
	for _, token := range []string{"=", "a b", "a&b=c", "a\x00", "é", "a=b", "%41"} {
		f(401, malformed, "Bearer "+token)
	}
	f(401, `Bearer realm="sluice", error="invalid_token", error_description="the token is too long"`, "Bearer "+strings.Repeat("a", maxToken+1))
	f(400, `Bearer realm="sluice", error="invalid_request", error_description="there is more than one Authorization"`, "Bearer a", "Bearer b")
}

// A server that fails is no reason to let anybody through, unless that is wanted; a
// store that fails is none to refuse.
func TestFailures(t *testing.T) {
	f := func(w *world, config string, status int, origin string) {
		t.Helper()
		rec := w.get(t, config, "Bearer abc")
		if got := rec.Header().Get("Origin"); rec.Code != status || got != origin {
			t.Errorf("%d %q, want %d %q", rec.Code, got, status, origin)
		}
		if status == 503 && len(w.kept) > 0 {
			t.Error("a failure is remembered")
		}
	}
	open := strings.Replace(settings, "{", `{"open":true,`, 1)
	down := newWorld("")
	down.err = proxy.Timeout
	f(down, settings, 503, "")
	f(down, open, 200, "|")
	unknown := newWorld(`{"active":true,"scope":"read"}`)
	unknown.status = 401
	f(unknown, settings, 503, "")
	f(unknown, open, 200, "|")
	f(newWorld(`{"active":false}`), open, 401, "")

	full := newWorld(`{"active":true,"sub":"ann","scope":"read"}`)
	full.broken = proxy.Limit
	f(full, settings, 200, "ann|read")
	damaged := newWorld(`{"active":true,"sub":"ann","scope":"read"}`)
	f(damaged, settings, 200, "ann|read")
	for key := range damaged.kept {
		damaged.kept[key] = []byte("{")
	}
	f(damaged, settings, 200, "ann|read")
	if len(damaged.asked) != 2 {
		t.Errorf("asked %d times, want 2", len(damaged.asked))
	}
}

func TestConfigure(t *testing.T) {
	f := func(rest string, good bool) {
		t.Helper()
		config := `{"upstream":"id","client":"shop"` + rest + `}`
		if err := newWorld("").gate().configure([]byte(config)); (err == nil) != good {
			t.Errorf("%s: %v", config, err)
		}
	}
	f("", true)
	f(`,"timeout":10000,"keep":3600,"refused":3600,"path":"/a?b=c"`, true)
	for _, rest := range []string{`,"x":1`, `,"timeout":0`, `,"timeout":10001`, `,"keep":-1`, `,"keep":3601`, `,"refused":3601`, `,"path":"a"`,
		`,"realm":"\""`, `,"scopes":["a\\"]`, `,"scopes":[""]`, `,"fields":{"X User":"sub"}`, `,"fields":{"":"sub"}`, `,"fields":{"host":"sub"}`,
		`,"fields":{"X-A":"sub","x-a":"sub"}`, `,"client":""`, `,"upstream":""`} {
		f(rest, false)
	}
	g := newWorld("").gate()
	g.secret = func(string) ([]byte, error) { return nil, proxy.None }
	if err := g.configure([]byte(settings)); !errors.Is(err, proxy.None) {
		t.Errorf("without a secret: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{`{"active":true,"sub":"ann","scope":"read","exp":2000,"aud":["a"]}`, `{"active":false}`, `{"active":true,"cnf":{}}`, "[]", `{"active":true,"exp":"1"}`} {
		f.Add([]byte(s))
	}
	g := newWorld("").gate()
	if err := g.configure([]byte(strings.Replace(settings, "{", `{"audience":"a",`, 1))); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		is, err := g.read(answer)
		if err != nil || is.Why != "" {
			return
		}
		for name, value := range is.Fields {
			if strings.ContainsAny(value, "\x00\r\n") {
				t.Errorf("%s: %q", name, value)
			}
		}
		if ttl := g.ttl(is); ttl > time.Minute {
			t.Errorf("remembered for %v", ttl)
		}
	})
}
