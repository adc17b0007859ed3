package admin

import (
	"context"
	"net/http"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// tries are the resources that try modules.
func (a *API) tries(mux *mux) {
	mux.handle("POST /v1/filters/{name}/try", func(w http.ResponseWriter, r *http.Request) { a.try(w, r, a.proxy.TryFilter) })
	mux.handle("POST /v1/functions/{name}/try", func(w http.ResponseWriter, r *http.Request) { a.try(w, r, a.proxy.TryFunction) })
}

// maxTry bounds a request to try, in bytes: two contents of 1 MiB, of which JSON may make
// six times as much.
const maxTry = 16 << 20

// try has a module try one request. It changes nothing, so no line is left of it.
func (a *API) try(w http.ResponseWriter, r *http.Request, try func(context.Context, string, api.TryRequest) (api.Trial, error)) {
	var t api.TryRequest
	if err := decodeUpTo(w, r, &t, maxTry); err != nil {
		a.failed(w, r, err)
		return
	}
	result, err := try(r.Context(), r.PathValue("name"), t)
	a.answer(w, r, result, err)
}
