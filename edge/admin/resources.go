package admin

import (
	"net/http"
	"strconv"

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

func (a *API) split(w http.ResponseWriter, r *http.Request) {
	s, err := a.proxy.Split(r.PathValue("route"))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	a.divided(w, s)
}

// divided sends a split with its ETag (RFC 9110, section 8.8.3).
func (a *API) divided(w http.ResponseWriter, s api.Split) {
	w.Header().Set("ETag", strconv.Quote(s.ETag()))
	reply(w, http.StatusOK, s)
}

func (a *API) setSplit(w http.ResponseWriter, r *http.Request) {
	route := r.PathValue("route")
	var change api.SplitChange
	if err := decode(w, r, &change); err != nil {
		a.failed(w, r, err)
		return
	}
	how := changeOf(r)
	s, err := a.proxy.SetSplit(route, change, how)
	switch {
	case err != nil:
		a.failed(w, r, err)
	case how.DryRun:
		reply(w, http.StatusOK, s) // which is not what is in force
	default:
		a.audit(r, "split set", "route", route, "weights", change.Weights)
		a.divided(w, s)
	}
}

// reopenLogs makes log files be opened anew.
func (a *API) reopenLogs(w http.ResponseWriter, r *http.Request) {
	if !dryRun(r) {
		if err := a.proxy.ReopenLogs(); err != nil {
			a.failed(w, r, err)
			return
		}
	}
	w.WriteHeader(http.StatusNoContent)
}
