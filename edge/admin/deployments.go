package admin

import (
	"net/http"
	"strconv"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// deployments are the resources of the versions of filters and functions.
func (a *API) deployments(mux *mux) {
	mux.handle("POST /v1/filters/{name}/versions", func(w http.ResponseWriter, r *http.Request) {
		a.push(w, r, "filter", a.proxy.PushFilter, api.Use{Store: true})
	})
	mux.handle("GET /v1/filters/{name}/versions", func(w http.ResponseWriter, r *http.Request) {
		f, err := a.proxy.Filter(r.PathValue("name"))
		a.answer(w, r, f.Versions, err)
	})
	mux.handle("GET /v1/filters/{name}/deployment", func(w http.ResponseWriter, r *http.Request) {
		d, err := a.proxy.FilterDeployment(r.PathValue("name"))
		a.deployed(w, r, d, err)
	})
	mux.handle("PUT /v1/filters/{name}/deployment", func(w http.ResponseWriter, r *http.Request) {
		a.deploy(w, r, "filter", a.proxy.DeployFilter)
	})
	mux.handle("GET /v1/filters/{name}/shadow", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.proxy.FilterShadow(r.PathValue("name"))
		a.answer(w, r, s, err)
	})

	mux.handle("POST /v1/functions/{name}/versions", func(w http.ResponseWriter, r *http.Request) {
		a.push(w, r, "function", a.proxy.PushFunction, api.Use{Store: true})
	})
	mux.handle("GET /v1/functions/{name}/versions", func(w http.ResponseWriter, r *http.Request) {
		f, err := a.proxy.Function(r.PathValue("name"))
		a.answer(w, r, f.Versions, err)
	})
	mux.handle("GET /v1/functions/{name}/deployment", func(w http.ResponseWriter, r *http.Request) {
		d, err := a.proxy.FunctionDeployment(r.PathValue("name"))
		a.deployed(w, r, d, err)
	})
	mux.handle("PUT /v1/functions/{name}/deployment", func(w http.ResponseWriter, r *http.Request) {
		a.deploy(w, r, "function", a.proxy.DeployFunction)
	})
	mux.handle("GET /v1/functions/{name}/shadow", func(w http.ResponseWriter, r *http.Request) {
		s, err := a.proxy.FunctionShadow(r.PathValue("name"))
		a.answer(w, r, s, err)
	})
}

// deploy changes which versions of a filter or function run.
func (a *API) deploy(w http.ResponseWriter, r *http.Request, what string, deploy func(string, api.DeploymentChange, bool) (api.Deployment, error)) {
	name := r.PathValue("name")
	var c api.DeploymentChange
	if err := decode(w, r, &c); err != nil {
		a.failed(w, r, err)
		return
	}
	c.IfMatch = changeOf(r).IfMatch
	d, err := deploy(name, c, dryRun(r))
	if err == nil && !dryRun(r) {
		a.audit(r, what+" deployed", what, name, "versions", c.Versions, "shadow", c.Shadow, "guard", d.Guard)
	}
	if dryRun(r) {
		a.answer(w, r, d, err) // which is not what runs
		return
	}
	a.deployed(w, r, d, err)
}

// deployed sends a deployment with its ETag (RFC 9110, section 8.8.3).
func (a *API) deployed(w http.ResponseWriter, r *http.Request, d api.Deployment, err error) {
	if err == nil {
		w.Header().Set("ETag", strconv.Quote(d.ETag()))
	}
	a.answer(w, r, d, err)
}
