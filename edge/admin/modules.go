package admin

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/filters/journal"
)

// modules are the resources of filters and functions.
func (a *API) modules(mux *mux) {
	mux.handle("GET /v1/filters", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, a.proxy.Filters()) })
	mux.handle("GET /v1/filters/{name}", func(w http.ResponseWriter, r *http.Request) {
		f, err := a.proxy.Filter(r.PathValue("name"))
		a.answer(w, r, f, err)
	})
	mux.handle("PUT /v1/filters/{name}", func(w http.ResponseWriter, r *http.Request) {
		a.push(w, r, "filter", a.proxy.PushFilter, api.Use{Route: r.URL.Query().Get("on"), Config: r.URL.Query().Get("config")})
	}, "on", "config")
	mux.handle("POST /v1/filters/{name}/rollback", func(w http.ResponseWriter, r *http.Request) {
		a.rollBack(w, r, "filter", a.proxy.RollBackFilter)
	})
	mux.handle("DELETE /v1/filters/{name}", func(w http.ResponseWriter, r *http.Request) {
		a.remove(w, r, "filter", a.proxy.RemoveFilter)
	})

	mux.handle("GET /v1/functions", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, a.proxy.Functions()) })
	mux.handle("GET /v1/functions/{name}", func(w http.ResponseWriter, r *http.Request) {
		f, err := a.proxy.Function(r.PathValue("name"))
		a.answer(w, r, f, err)
	})
	mux.handle("PUT /v1/functions/{name}", func(w http.ResponseWriter, r *http.Request) {
		a.push(w, r, "function", a.proxy.PushFunction, api.Use{Route: r.URL.Query().Get("route")})
	}, "route")
	mux.handle("POST /v1/functions/{name}/rollback", func(w http.ResponseWriter, r *http.Request) {
		a.rollBack(w, r, "function", a.proxy.RollBackFunction)
	})
	mux.handle("DELETE /v1/functions/{name}", func(w http.ResponseWriter, r *http.Request) {
		a.remove(w, r, "function", a.proxy.RemoveFunction)
	})
	mux.handle("GET /v1/functions/{name}/logs", a.functionLogs, "follow")
	a.deployments(mux)
}

// answer sends what was asked for, or why not.
func (a *API) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	if err != nil {
		a.failed(w, r, err)
		return
	}
	reply(w, http.StatusOK, v)
}

// push stores, checks and deploys the module that is the request's body.
func (a *API) push(w http.ResponseWriter, r *http.Request, what string, push func(context.Context, string, io.Reader, api.Use) (api.ModuleVersion, bool, error), use api.Use) {
	name := r.PathValue("name")
	how := changeOf(r)
	use.DryRun, use.IfMatch = how.DryRun, how.IfMatch
	if most := a.proxy.LargestModule(); r.ContentLength > most { // before it is sent
		problem(w, api.Problem{Title: "not stored", Status: http.StatusRequestEntityTooLarge,
			Detail: fmt.Sprintf("the module has %d bytes, more than the %d allowed", r.ContentLength, most)})
		return
	}
	v, created, err := push(r.Context(), name, r.Body, use)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if use.DryRun {
		reply(w, http.StatusOK, v)
		return
	}
	did := " pushed"
	if use.Store {
		did = " stored"
	}
	a.audit(r, what+did, what, name, "version", v.Version, "digest", v.Digest, "on", use.Route)
	if created {
		reply(w, http.StatusCreated, v)
		return
	}
	reply(w, http.StatusOK, v)
}

func (a *API) rollBack(w http.ResponseWriter, r *http.Request, what string, back func(string, api.Change) (api.ModuleVersion, error)) {
	name, how := r.PathValue("name"), changeOf(r)
	v, err := back(name, how)
	if err == nil && !how.DryRun {
		a.audit(r, what+" rolled back", what, name, "version", v.Version)
	}
	a.answer(w, r, v, err)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request, what string, remove func(string, api.Change) error) {
	name, how := r.PathValue("name"), changeOf(r)
	if err := remove(name, how); err != nil {
		a.failed(w, r, err)
		return
	}
	if !how.DryRun {
		a.audit(r, what+" removed", what, name)
	}
	w.WriteHeader(http.StatusNoContent)
}

// functionLogs sends what a function has said, a line each, and goes on with what it
// says if that is asked for.
func (a *API) functionLogs(w http.ResponseWriter, r *http.Request) {
	j, err := a.proxy.FunctionJournal(r.PathValue("name"))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.follow(w, r, j)
}

// follow sends the lines of a journal. Who does not read them misses those that there
// is no room for, and is let go after a time.
func (a *API) follow(w http.ResponseWriter, r *http.Request, j *journal.Journal) {
	kept, next, stop, ok := j.Follow()
	if !ok {
		a.failed(w, r, &api.Problem{Title: "too many readers", Status: http.StatusServiceUnavailable, Detail: "too many follow this log already"})
		return
	}
	defer stop()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	c := http.NewResponseController(w)
	c.SetWriteDeadline(time.Now().Add(readTime))
	for _, l := range kept {
		if writeLine(w, l) != nil {
			return
		}
	}
	if r.URL.Query().Get("follow") != "1" {
		return
	}
	for {
		if err := c.Flush(); err != nil {
			return
		}
		select {
		case l, more := <-next:
			c.SetWriteDeadline(time.Now().Add(readTime))
			if !more || writeLine(w, l) != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-a.ending:
			return
		}
	}
}

// writeLine writes a line for people: when, which version, in which request, what.
func writeLine(w io.Writer, l journal.Line) error {
	var missed string
	if l.Missed > 0 {
		missed = fmt.Sprintf("(%d lines were missed)\n", l.Missed)
	}
	_, err := fmt.Fprintf(w, "%s%s v%d %s %s\n", missed, l.Time.UTC().Format(time.RFC3339Nano), l.Version, l.ID, l.Text)
	return err
}
