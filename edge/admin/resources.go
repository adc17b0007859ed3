package admin

import (
	"net/http"
	"strings"

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
	reply(w, http.StatusOK, s)
}

func (a *API) setSplit(w http.ResponseWriter, r *http.Request) {
	route := r.PathValue("route")
	var change api.SplitChange
	if err := decode(w, r, &change); err != nil {
		a.failed(w, r, err)
		return
	}
	s, err := a.proxy.SetSplit(route, change, dryRun(r))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if !dryRun(r) {
		a.audit(r, "split set", "route", route, "weights", change.Weights)
	}
	reply(w, http.StatusOK, s)
}

// reopenLogs makes log files be opened anew.
func (a *API) reopenLogs(w http.ResponseWriter, r *http.Request) {
	if err := a.proxy.ReopenLogs(); err != nil {
		a.failed(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// dryRun reports whether a write is to be checked only.
func dryRun(r *http.Request) bool {
	switch r.URL.Query().Get("dry_run") {
	case "", "0", "no", "false":
		return false
	}
	return true
}

// changeOf returns how something is to be changed.
func changeOf(r *http.Request) api.Change {
	return api.Change{DryRun: dryRun(r), IfMatch: strings.Trim(r.Header.Get("If-Match"), `"`)}
}
