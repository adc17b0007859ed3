package server_test

import (
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
)

// No answer tells the client where an endpoint is, whatever the origin says and
// however it fails.
func TestNoAddressLeaks(t *testing.T) {
	var addr string
	addr = origin(t, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		switch r.URL.Path {
		case "/absolute":
			h.Set("Location", "http://"+addr+"/there?a=b")
			h.Set("Content-Location", "http://"+addr+"/here")
			h.Set("Refresh", "5; url=http://"+addr+"/refreshed")
			h.Add("Set-Cookie", "a=b; Domain=127.0.0.1; Path=/")
			h.Add("Set-Cookie", "c=d; Path=/x; Domain="+addr)
			w.WriteHeader(http.StatusFound)
		case "/relative":
			h.Set("Location", "//"+addr+"/there")
			w.WriteHeader(http.StatusMovedPermanently)
		case "/reset":
			panic(http.ErrAbortHandler)
		default:
			io.WriteString(w, "hello")
		}
	})
	dead := port(t)
	at := port(t)
	p := startIn(t, t.TempDir(), `
admin: off
sites:
  "http://*:PORT":
    name: s
    routes:
      /:        { to: pool, cache: 1m }
      /own/*:   { to: pool, host: upstream, strip: /own }
      /dead:    dead
upstreams: { pool: $ORIGIN, dead: $DEAD }
`, "PORT", at[strings.LastIndexByte(at, ':')+1:], "$ORIGIN", addr, "$DEAD", dead)
	p.access.only = "nothing"
	client := &http.Client{Transport: &http.Transport{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	ports := []string{addr[strings.LastIndexByte(addr, ':'):], dead[strings.LastIndexByte(dead, ':'):]}
	for _, path := range []string{"/absolute", "/relative", "/reset", "/", "/dead", "/own/absolute", "/own/relative", "/own/reset", "/nothing"} {
		for range 2 { // from the cache, too
			req, err := http.NewRequest("GET", "http://"+at+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "shop.example"
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			all, err := httputil.DumpResponse(res, true)
			res.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			for _, port := range ports {
				if strings.Contains(string(all), port) {
					t.Errorf("%s tells of %s:\n%s", path, port, all)
				}
			}
			if strings.Contains(string(all), "Domain=") || strings.Contains(string(all), "127.0.0.1") {
				t.Errorf("%s tells of the origin:\n%s", path, all)
			}
		}
	}
}
