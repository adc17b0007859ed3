package admin

import (
	"net/http"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

func (a *API) status(w http.ResponseWriter, _ *http.Request) {
	s := a.proxy.Status()
	s.Version = a.version
	reply(w, http.StatusOK, s)
}

func (a *API) ready(w http.ResponseWriter, _ *http.Request) {
	ready := a.proxy.Ready()
	if !ready.Ready {
		reply(w, http.StatusServiceUnavailable, ready)
		return
	}
	reply(w, http.StatusOK, ready)
}

func (a *API) showVersion(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, a.version)
}

func (a *API) filters(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, a.proxy.Filters())
}

func (a *API) filter(w http.ResponseWriter, r *http.Request) {
	f, err := a.proxy.Filter(r.PathValue("filter"))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	reply(w, http.StatusOK, f)
}

// pushFilter stores, checks and deploys the module that is the request's body.
func (a *API) pushFilter(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("filter")
	v, created, err := a.proxy.PushFilter(r.Context(), name, r.Body, api.Use{})
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.audit(r, "filter pushed", "filter", name, "version", v.Version, "digest", v.Digest)
	if created {
		reply(w, http.StatusCreated, v)
		return
	}
	reply(w, http.StatusOK, v)
}

func (a *API) removeFilter(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("filter")
	if err := a.proxy.RemoveFilter(name); err != nil {
		a.failed(w, r, err)
		return
	}
	a.audit(r, "filter removed", "filter", name)
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) split(w http.ResponseWriter, r *http.Request) {
	s, err := a.proxy.Split(r.PathValue("route"))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	reply(w, http.StatusOK, s)
}

func (a *API) setSplit(w http.ResponseWriter, r *http.Request) {
	route := r.PathValue("route")
	var change api.SplitChange
	if err := decode(w, r, &change); err != nil {
		a.failed(w, r, err)
		return
	}
	s, err := a.proxy.SetSplit(route, change)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.audit(r, "split set", "route", route, "weights", change.Weights)
	reply(w, http.StatusOK, s)
}
