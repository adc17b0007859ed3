package admin

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// versioned is filters or functions, whose versions can be deployed.
type versioned struct {
	what       string
	path       string
	push       func(context.Context, string, io.Reader, api.Use) (api.ModuleVersion, bool, error)
	versions   func(name string) ([]api.ModuleVersion, error)
	deployment func(name string) (api.Deployment, error)
	deploy     func(string, api.DeploymentChange, bool) (api.Deployment, error)
	shadow     func(name string) (api.Shadow, error)
}

// deployments are the resources of the versions of filters and functions.
func (a *API) deployments(mux *mux) {
	for _, v := range []versioned{
		{"filter", "/v1/filters/{name}", a.proxy.PushFilter, func(name string) ([]api.ModuleVersion, error) {
			f, err := a.proxy.Filter(name)
			return f.Versions, err
		}, a.proxy.FilterDeployment, a.proxy.DeployFilter, a.proxy.FilterShadow},
		{"function", "/v1/functions/{name}", a.proxy.PushFunction, func(name string) ([]api.ModuleVersion, error) {
			f, err := a.proxy.Function(name)
			return f.Versions, err
		}, a.proxy.FunctionDeployment, a.proxy.DeployFunction, a.proxy.FunctionShadow},
	} {
		mux.handle("POST "+v.path+"/versions", func(w http.ResponseWriter, r *http.Request) {
			a.push(w, r, v.what, v.push, api.Use{Store: true})
		})
		mux.handle("GET "+v.path+"/versions", func(w http.ResponseWriter, r *http.Request) {
			all, err := v.versions(r.PathValue("name"))
			a.answer(w, r, all, err)
		})
		mux.handle("GET "+v.path+"/deployment", func(w http.ResponseWriter, r *http.Request) {
			d, err := v.deployment(r.PathValue("name"))
			a.deployed(w, r, d, err)
		})
		mux.handle("PUT "+v.path+"/deployment", func(w http.ResponseWriter, r *http.Request) {
			a.deploy(w, r, v.what, v.deploy)
		})
		mux.handle("GET "+v.path+"/shadow", func(w http.ResponseWriter, r *http.Request) {
			s, err := v.shadow(r.PathValue("name"))
			a.answer(w, r, s, err)
		})
	}
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
