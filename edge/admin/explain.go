package admin

import (
	"net/http"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// explain says what would become of a request.
func (a *API) explain(w http.ResponseWriter, r *http.Request) {
	var asked api.ExplainRequest
	if err := decode(w, r, &asked); err != nil {
		a.failed(w, r, err)
		return
	}
	e, err := a.proxy.Explain(asked)
	a.answer(w, r, e, err)
}
