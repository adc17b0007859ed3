// Package admin is the admin API over a running server: JSON over HTTP, for the
// command line and for scripts. It is served by net/http, apart from the traffic.
package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/http/pprof"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/listen"
	"github.com/sluice-edge/sluice/edge/server"
)

// maxJSON bounds a request that is not a module, in bytes.
const maxJSON = 1 << 20

// readTime is how long a client may take to read an answer, or, of one that goes on
// for ever, as much as there is at a time. Then its connection is closed.
const readTime = time.Minute

// API serves the admin API.
type API struct {
	proxy   *server.Server
	version api.Version
	token   [sha256.Size]byte
	guarded bool // the token must be shown
	local   bool // the API listens on loopback, or on a unix socket
	log     *slog.Logger
	http    *http.Server
	socket  net.Listener
	ending  chan struct{} // closed by Shutdown: what goes on for ever ends
	end     func()        // closes it
}

// New binds the address of cfg and returns the API of proxy behind it.
func New(proxy *server.Server, cfg config.Admin, version api.Version, log *slog.Logger) (*API, error) {
	a := &API{proxy: proxy, version: version, log: log, guarded: cfg.Token != "", token: sha256.Sum256([]byte(cfg.Token))}
	a.local = cfg.Listen.Network == "unix" || isLoopback(cfg.Listen.Address)
	if !a.local && !a.guarded {
		return nil, fmt.Errorf("the admin API on %s can be reached from elsewhere, and has no token: set admin: token, or listen on 127.0.0.1", cfg.Listen.Address)
	}
	socket, err := listen.Open(cfg.Listen.Network, cfg.Listen.Address)
	if err != nil {
		return nil, fmt.Errorf("admin API: %w", err)
	}
	a.socket = socket
	a.ending = make(chan struct{})
	a.end = sync.OnceFunc(func() { close(a.ending) })
	mux := newMux()
	mux.handle("GET /v1/status", a.status)
	mux.handle("GET /v1/ready", a.ready)
	mux.handle("GET /v1/live", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.handle("GET /v1/version", a.showVersion)
	a.modules(mux)
	a.tries(mux)
	a.captures(mux)
	a.keys(mux)
	a.configuration(mux)
	mux.handle("GET /v1/splits/{route...}", a.split)
	mux.handle("PUT /v1/splits/{route...}", a.setSplit)
	mux.handle("POST /v1/explain", a.explain)
	mux.handle("POST /v1/logs/reopen", a.reopenLogs)
	// Those take what parameters they will.
	mux.Handle("GET /metrics", metricsOf(proxy, version, log))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.close()
	a.http = &http.Server{
		Handler:           a.guard(mux),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	return a, nil
}

// Addr returns the address that is bound.
func (a *API) Addr() net.Addr { return a.socket.Addr() }

// Serve serves until Shutdown.
func (a *API) Serve() error {
	if err := a.http.Serve(a.socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Shutdown ends the API when its requests have ended, or ctx is done.
func (a *API) Shutdown(ctx context.Context) error {
	a.end()
	err := a.http.Shutdown(ctx)
	if err != nil {
		a.http.Close()
	}
	return err
}

// guard lets in who may steer the proxy: who has the token, if there is one, and
// no page of another site that a browser on this machine has open.
func (a *API) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A name of somebody else's that resolves to loopback (DNS rebinding)
		// makes a browser send that name.
		if a.local && a.socket.Addr().Network() != "unix" && !isLoopback(r.Host) {
			problem(w, api.Problem{Title: "wrong host", Status: http.StatusMisdirectedRequest,
				Detail: fmt.Sprintf("the admin API is not reached as %q", r.Host), Hint: "use the address that it listens on, such as 127.0.0.1"})
			return
		}
		if origin := r.Header.Get("Origin"); origin != "" && !sameHost(origin, r.Host) {
			problem(w, api.Problem{Title: "foreign origin", Status: http.StatusForbidden, Detail: fmt.Sprintf("pages of %q may not use the admin API", origin)})
			return
		}
		if a.guarded && !a.authorised(r) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice"`)
			problem(w, api.Problem{Title: "token needed", Status: http.StatusUnauthorized, Detail: "the admin API wants its token", Hint: "send Authorization: Bearer TOKEN"})
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		next.ServeHTTP(w, timed(w, r))
	})
}

func (a *API) authorised(r *http.Request) bool {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	sum := sha256.Sum256([]byte(strings.TrimSpace(token)))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(sum[:], a.token[:]) == 1
}

// isLoopback reports whether host, with or without a port, means this machine.
func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// reply sends v as JSON.
func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, status, v)
}

func problem(w http.ResponseWriter, p api.Problem) {
	w.Header().Set("Content-Type", api.ContentType)
	write(w, p.Status, p)
}

// write sends v for people to read too: curl shows it as it is.
func write(w http.ResponseWriter, status int, v any) {
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readTime)) // a connection of net/http always can
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	e.Encode(v) // an error means that the client has gone
}

// failed sends err, which is a Problem if the client is to blame.
func (a *API) failed(w http.ResponseWriter, r *http.Request, err error) {
	if p, ok := errors.AsType[*api.Problem](err); ok {
		problem(w, *p)
		return
	}
	a.log.Error("an admin request has failed", "method", r.Method, "path", r.URL.Path, "error", err)
	problem(w, api.Problem{Title: "failed", Status: http.StatusInternalServerError, Detail: err.Error()})
}

// decode reads a request of JSON into v.
func decode(w http.ResponseWriter, r *http.Request, v any) error { return decodeUpTo(w, r, v, maxJSON) }

// decodeUpTo is decode of a body of so many bytes at most.
func decodeUpTo(w http.ResponseWriter, r *http.Request, v any, most int64) error {
	// A form of another site's page can post without asking, but not as JSON.
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		return &api.Problem{Title: "wrong media type", Status: http.StatusUnsupportedMediaType, Detail: "the body is to be JSON", Hint: "send Content-Type: application/json"}
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, most))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); err == io.EOF {
			return nil
		}
		if err == nil {
			err = errors.New("something follows the value")
		}
	}
	if p := bodyProblem(err); p != nil {
		return p
	}
	return &api.Problem{Title: "malformed JSON", Status: http.StatusBadRequest, Detail: malformed(err)}
}

// malformed says what is wrong with JSON to somebody who does not see the source.
func malformed(err error) string {
	e, ok := errors.AsType[*json.UnmarshalTypeError](err)
	switch {
	case err == io.EOF:
		return "there is none"
	case !ok:
		return strings.TrimPrefix(err.Error(), "json: ")
	case e.Field == "":
		return "the body cannot be a JSON " + e.Value
	}
	return fmt.Sprintf("%s cannot be a JSON %s", e.Field, e.Value)
}

// audit leaves a line for whoever asks later what was changed.
func (a *API) audit(r *http.Request, what string, attrs ...any) {
	a.log.Info("changed by the admin API", append([]any{"change", what, "client", r.RemoteAddr}, attrs...)...)
}
