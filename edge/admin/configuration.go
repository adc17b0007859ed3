package admin

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// maxConfig bounds a configuration, in bytes.
const maxConfig = 16 << 20

// configuration are the resources of routes and of the configuration as a whole.
func (a *API) configuration(mux *mux) {
	mux.handle("GET /v1/routes", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, a.proxy.Routes()) })
	mux.handle("GET /v1/routes/{id...}", func(w http.ResponseWriter, r *http.Request) {
		c, err := a.proxy.Route(r.PathValue("id"))
		a.answer(w, r, c, err)
	})
	mux.handle("PUT /v1/routes/{id...}", func(w http.ResponseWriter, r *http.Request) { a.changeRoute(w, r, "route set", a.proxy.SetRoute) })
	mux.handle("PATCH /v1/routes/{id...}", func(w http.ResponseWriter, r *http.Request) {
		a.changeRoute(w, r, "route patched", a.proxy.PatchRoute)
	})
	mux.handle("DELETE /v1/routes/{id...}", a.resetRoute)

	mux.handle("GET /v1/config", func(w http.ResponseWriter, r *http.Request) {
		c, err := a.proxy.Configuration()
		a.configured(w, r, c, err)
	})
	mux.handle("PUT /v1/config", a.setConfig)
	mux.handle("POST /v1/config/check", a.checkConfig)
	mux.handle("GET /v1/config/history", func(w http.ResponseWriter, r *http.Request) {
		all, err := a.proxy.History()
		a.answer(w, r, all, err)
	})
	mux.handle("POST /v1/config/rollback/{number}", a.rollBackConfig)
}

// configured sends a configuration with its ETag (RFC 9110, section 8.8.3).
func (a *API) configured(w http.ResponseWriter, r *http.Request, c api.Configuration, err error) {
	if err == nil {
		w.Header().Set("ETag", strconv.Quote(c.ETag))
	}
	a.answer(w, r, c, err)
}

func (a *API) changeRoute(w http.ResponseWriter, r *http.Request, what string, set func(id string, value any, how api.Change) (api.RouteConfig, error)) {
	id := r.PathValue("id")
	text, err := readText(w, r, maxJSON)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	value, err := config.ParseValue(text)
	if err != nil {
		a.failed(w, r, &api.Problem{Title: "malformed value", Status: http.StatusBadRequest, Detail: err.Error(), Hint: "send the route as the file has it, in YAML or JSON"})
		return
	}
	how := changeOf(r)
	c, err := set(id, value, how)
	if err == nil && !how.DryRun {
		a.audit(r, what, "route", c.ID)
	}
	a.answer(w, r, c, err)
}

func (a *API) resetRoute(w http.ResponseWriter, r *http.Request) {
	id, how := r.PathValue("id"), changeOf(r)
	if err := a.proxy.ResetRoute(id, how); err != nil {
		a.failed(w, r, err)
		return
	}
	if !how.DryRun {
		a.audit(r, "route reset", "route", id)
	}
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) setConfig(w http.ResponseWriter, r *http.Request) {
	text, err := readText(w, r, maxConfig)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	how := changeOf(r)
	c, err := a.proxy.SetConfig(text, how)
	if err == nil && !how.DryRun {
		a.audit(r, "configuration set", "etag", c.ETag)
	}
	a.configured(w, r, c, err)
}

func (a *API) checkConfig(w http.ResponseWriter, r *http.Request) {
	text, err := readText(w, r, maxConfig)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	reply(w, http.StatusOK, a.proxy.Check(r.Context(), text))
}

func (a *API) rollBackConfig(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.PathValue("number"))
	if err != nil || number < 0 {
		a.failed(w, r, &api.Problem{Title: "not a revision", Status: http.StatusBadRequest, Detail: fmt.Sprintf("%q is no number of a revision", r.PathValue("number"))})
		return
	}
	how := changeOf(r)
	c, err := a.proxy.RollBack(number, how)
	if err == nil && !how.DryRun {
		a.audit(r, "configuration rolled back", "to", number, "etag", c.ETag)
	}
	a.configured(w, r, c, err)
}

func tooLarge(err *http.MaxBytesError) error {
	return &api.Problem{Title: "too large", Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has more than %d bytes", err.Limit)}
}

// readText reads a body of YAML or JSON.
func readText(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	// A form of another site's page can post without asking, but not as YAML or JSON.
	switch t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t {
	case "application/yaml", "application/json", "application/merge-patch+json":
	default:
		return nil, &api.Problem{Title: "wrong media type", Status: http.StatusUnsupportedMediaType, Detail: "the body is to be YAML or JSON", Hint: "send Content-Type: application/yaml"}
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err == nil {
		return text, nil
	}
	if p := bodyProblem(err); p != nil {
		return nil, p
	}
	return nil, &api.Problem{Title: "broken off", Status: http.StatusBadRequest, Detail: "the body broke off; nothing was changed"}
}
