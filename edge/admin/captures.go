package admin

import (
	"net/http"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// captures are the resources of captures.
func (a *API) captures(mux *mux) {
	mux.handle("POST /v1/captures", a.startCapture)
	mux.handle("GET /v1/captures", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, a.proxy.Captures()) })
	mux.handle("GET /v1/captures/{id}", func(w http.ResponseWriter, r *http.Request) {
		c, err := a.proxy.Capture(r.PathValue("id"))
		if err != nil {
			a.failed(w, r, err)
			return
		}
		reply(w, http.StatusOK, c.Tell())
	})
	mux.handle("GET /v1/captures/{id}/exchanges", a.captured, "follow")
	mux.handle("DELETE /v1/captures/{id}", func(w http.ResponseWriter, r *http.Request) {
		dry := dryRun(r)
		if err := a.proxy.RemoveCapture(r.PathValue("id"), dry); err != nil {
			a.failed(w, r, err)
			return
		}
		if !dry {
			a.audit(r, "capture removed", "capture", r.PathValue("id"))
		}
		w.WriteHeader(http.StatusNoContent)
	})
}

func (a *API) startCapture(w http.ResponseWriter, r *http.Request) {
	var asked api.CaptureRequest
	if err := decode(w, r, &asked); err != nil {
		a.failed(w, r, err)
		return
	}
	dry := dryRun(r)
	c, err := a.proxy.StartCapture(asked, dry)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if dry {
		reply(w, http.StatusOK, c)
		return
	}
	// What people have sent is looked at: that is written down.
	a.audit(r, "capture started", "capture", c.ID, "route", asked.Route, "for", c.Asked.For, "count", c.Asked.Count, "bodies", c.Asked.Bodies)
	w.Header().Set("Location", "/v1/captures/"+c.ID)
	reply(w, http.StatusCreated, c)
}

// captured sends the exchanges of a capture, a line each, and goes on with those to
// come if that is asked for.
func (a *API) captured(w http.ResponseWriter, r *http.Request) {
	c, err := a.proxy.Capture(r.PathValue("id"))
	if err != nil {
		a.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	out := http.NewResponseController(w)
	for sent := 0; ; {
		lines, more := c.Lines(sent)
		out.SetWriteDeadline(time.Now().Add(readTime))
		for _, line := range lines {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
		sent += len(lines)
		if more == nil || r.URL.Query().Get("follow") != "1" || out.Flush() != nil {
			return
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		case <-a.ending:
			return
		}
	}
}
