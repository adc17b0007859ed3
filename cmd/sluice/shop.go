package main

import (
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"text/template"
	"time"
)

// shop is an origin of the demo.
type shop struct {
	addr   string
	server *http.Server
}

// startShop starts a shop on a free port of loopback.
func startShop(version string) (*shop, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			shopPage.Execute(w, page{version, protocol(r), r.Header.Get("X-Sluice-Arm"), seen(r)}) // a client that has gone is no reason to stop
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "The shop, %s. It was asked:\n\n%s", version, seen(r))
	})
	mux.HandleFunc("/catalogue", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("ETag", `"catalogue-`+version[len(version)-1:]+`"`)
		fmt.Fprintf(w, "{\n \"made\": %q,\n \"things\": [", time.Now().Format(time.TimeOnly))
		for i := range 100 {
			fmt.Fprintf(w, "%.*s\n  { \"name\": \"thing %d\", \"price\": %d }", min(i, 1), ",", i+1, (i+1)*7%50+1)
		}
		io.WriteString(w, "\n ]\n}\n")
	})
	mux.HandleFunc("/newcomer", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "sluice_shop", Path: "/", MaxAge: -1}) // the split's
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			if _, err := fmt.Fprintf(w, "data: it is %s\n\n", time.Now().Format(time.TimeOnly)); err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			}
		}
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex() // HTTP/1.1 alone can be without, and this is HTTP/1.1
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		buf := make([]byte, 32<<10)
		for {
			n, err := r.Body.Read(buf)
			if _, werr := w.Write(buf[:n]); werr != nil || err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
		}
	})
	s := &shop{addr: l.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}}
	go s.server.Serve(l) // ends with stop
	return s, nil
}

func (s *shop) stop() { s.server.Close() }

// seen returns the request as the shop has got it.
func seen(r *http.Request) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s\nHost: %s\n", r.Method, r.URL.RequestURI(), r.Proto, r.Host)
	r.Header.Write(&b) // a Builder does not fail
	return strings.ReplaceAll(b.String(), "\r\n", "\n")
}

// protocol returns the version of HTTP that the client speaks, by what sluice has
// put into Via (RFC 9110, section 7.6.3).
func protocol(r *http.Request) string {
	version, _, _ := strings.Cut(r.Header.Get("Via"), " ")
	return "HTTP/" + strings.TrimSuffix(version, ".0")
}

//go:embed demo/shop.html
var shopHTML string

var shopPage = template.Must(template.New("").Parse(shopHTML))

// page is what the shop's page shows.
type page struct {
	Version  string
	Protocol string
	Arm      string
	Seen     string // the request as the shop has got it
}
