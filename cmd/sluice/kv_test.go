package main

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// fakeKeys adds a key-value store with fixed answers, which tell what was asked.
func fakeKeys(mux *http.ServeMux) {
	soon, later := now.Add(42*time.Second), now.Add(50*time.Hour)
	sessions := []api.Key{{Key: "user:1", Bytes: 2345, Version: 1234567, Expires: &later}, {Key: "user:2\x1b[2J", Bytes: 7, Version: 3, Expires: &soon}, {Key: "日本", Version: 12}}
	mux.HandleFunc("GET /v1/kv", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, []api.Namespace{{Name: "flags", Keys: 2, Bytes: 210}, {Name: "sessions", Keys: 123_456, Bytes: 33 << 20}, {Name: "evil\x1b[2J", Keys: 1}})
	})
	mux.HandleFunc("GET /v1/kv/empty", func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, api.Keys{Keys: []api.Key{}}) })
	mux.HandleFunc("GET /v1/kv/sessions", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		limit, err := strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > maxKeysAsked {
			answer(w, 400, &api.Problem{Title: "limit " + q.Get("limit")})
			return
		}
		var part api.Keys
		for _, k := range sessions {
			switch {
			case !strings.HasPrefix(k.Key, q.Get("prefix")) || k.Key <= q.Get("after"):
			case len(part.Keys) == min(limit, 2):
				part.Next = part.Keys[1].Key
			default:
				part.Keys = append(part.Keys, k)
			}
		}
		answer(w, 200, part)
	})
	mux.HandleFunc("GET /v1/kv/{namespace}/{key}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1234567"`)
		switch r.PathValue("key") {
		case "new-checkout":
			io.WriteString(w, "on")
		case "binary":
			w.Write([]byte{0, 0xff})
		case "user:1":
			w.Header().Set(api.ExpiresField, later.Format(time.RFC3339Nano))
			io.WriteString(w, "{\"cart\": [\"\x1b[2J\"]}\n")
		default:
			w.Header().Del("ETag")
			answer(w, 404, &api.Problem{Title: "no such key", Detail: `the namespace "flags" has no key "none"`, Hint: "sluice kv list flags lists its keys"})
		}
	})
	mux.HandleFunc("PUT /v1/kv/flags/{key}", func(w http.ResponseWriter, r *http.Request) {
		value, _ := io.ReadAll(r.Body)
		switch {
		case conflict(w, r):
			return
		case r.URL.Query().Has("dry_run"):
			w.WriteHeader(204)
			return
		}
		k := api.Key{Key: r.PathValue("key"), Bytes: len(value), Version: 8}
		if ttl, err := time.ParseDuration(r.URL.Query().Get("ttl")); err == nil {
			at := now.Add(ttl)
			k.Expires = &at
		}
		answer(w, 200, k)
	})
	mux.HandleFunc("DELETE /v1/kv/flags/{key}", func(w http.ResponseWriter, r *http.Request) {
		if !conflict(w, r) {
			w.WriteHeader(204)
		}
	})
}

// conflict refuses what has a condition, and reports whether it has.
func conflict(w http.ResponseWriter, r *http.Request) bool {
	if r.Header.Get("If-Match") != `"7"` && r.Header.Get("If-None-Match") != "*" {
		return false
	}
	answer(w, 412, &api.Problem{Title: "changed meanwhile", Detail: "the key has another version", Hint: "sluice kv get -i shows its version"})
	return true
}

// The value is printed as it is to what is no terminal, and so that it steers none
// otherwise.
func TestValueAsItIs(t *testing.T) {
	server := fakeAPI(t)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	f := func(columns int, key, want string) {
		t.Helper()
		if got := sluiceAt(t, columns, "kv", "get", "flags", key); got != want+"--- exit 0\n" {
			t.Errorf("%s in %d columns: got %q, want %q", key, columns, got, want)
		}
	}
	f(0, "binary", "\x00\xff")
	f(0, "user:1", "{\"cart\": [\"\x1b[2J\"]}\n")
	f(0, "new-checkout", "on")
	f(80, "binary", `\x00\xff`+"\n")
	f(80, "user:1", `{"cart": ["\x1b[2J"]}`+"\n")
	f(80, "new-checkout", "on\n")
}

// What kv does to a real store, and what undoes nothing that another has done.
func TestKV(t *testing.T) {
	r := run(t, "listen: { http: \"127.0.0.1:0\" }\nsites: { example.com: 127.0.0.1:1 }\nadmin: { listen: \"unix:"+t.TempDir()+"/admin.sock\" }\nstate: "+t.TempDir()+"\n")
	r.sluice(0, `^--- stderr\nNo module keeps anything yet\.`, "kv list")
	r.sluice(0, `^flags a/b: version \d+, 2B, expires in \d+d`, "kv set flags a/b on --ttl 1h --if-absent")
	r.sluice(1, `another version.*sluice kv get -i shows its version`, "kv set flags a/b off --if-absent")
	r.sluice(0, `^on--- stderr\nversion \d+, 2B, expires in \d+d`, "kv get -i flags a/b")
	r.sluice(0, `It could be set`, "kv set flags a/b off --dry-run")
	r.sluice(1, `another version`, "kv set flags a/b off --if-version 999999")
	r.sluice(0, `"value": "on"`, "kv get flags a/b -o json")
	r.sluice(0, `^flags c: version \d+, 0B\n`, "kv set flags c -")
	r.sluice(0, `(?s)KEY.*a/b +2B +\d+ +\d+d\d+h\nc +0B +\d+ *\n--- exit`, "kv list flags")
	r.sluice(0, `behind "a/b"`, "kv list flags --limit 1")
	r.sluice(0, `^KEY[^\n]*\nc `, "kv list flags --after a/b")
	r.sluice(0, `(?s)NAMESPACE +KEYS +SIZE\nflags +2 `, "kv list")
	r.sluice(1, `no key "none".*sluice kv list flags lists its keys`, "kv rm flags none")
	r.sluice(0, `^--- stderr\nIt could be removed`, "kv rm flags a/b --dry-run")
	r.sluice(0, `^flags a/b is removed\n`, "kv rm flags a/b")
	r.sluice(1, `no key "a/b"`, "kv get flags a/b")
	r.sluice(1, `namespace "a\*b" has more in it than letters`, "kv list a*b")
	r.sluice(1, `"\.\." is not a name`, "kv get flags ..")
	r.sluice(3, `Is sluice running`, "kv list --admin unix:/none.sock")
}

// Every key of a namespace is listed, however many the proxy tells of at a time.
func TestAllKeys(t *testing.T) {
	r := run(t, "listen: { http: \"127.0.0.1:0\" }\nsites: { example.com: 127.0.0.1:1 }\nadmin: { listen: \"unix:"+t.TempDir()+"/admin.sock\" }\nstate: "+t.TempDir()+"\n")
	s, err := r.s.Keys()
	if err != nil {
		t.Fatal(err)
	}
	const all = 2*maxKeysAsked + 1
	done := make(chan error, all)
	for i := range all {
		go func() {
			_, err := s.Set("many", "k"+strconv.Itoa(i), nil, 0, -1)
			done <- err
		}()
	}
	for range all {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for limit, want := range map[string]int{"0": all, "1500": 1500, "3000": all, "7": 7} {
		out := sluice(t, "kv", "list", "many", "--limit", limit)
		if n := bytes.Count([]byte(out), []byte("\nk")); n != want {
			t.Errorf("--limit %s: %d keys, want %d", limit, n, want)
		}
	}
}
