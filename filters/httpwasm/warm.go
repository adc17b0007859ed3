package httpwasm

import (
	"net/netip"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/hostmod"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// wasi is what runtimes of languages import from.
const wasi = "wasi_snapshot_preview1"

// warms reports whether a guest is used before there is a request: it has a runtime,
// which makes much at its first use.
func warms(m *wasm.Module) bool { return m.Info.ImportsFrom(wasi) }

// warm has a guest see a request and the response to it, so that what it makes at its
// first use is made before the first request. What it says is not heard, and not
// counted. A guest that wants something from outside, keys or a fetch, ends there, and
// begins as its initialisation has left it.
func (f *Filter) warm(in *wasm.Instance, enabled features) error {
	client := edge.NewClient(netip.AddrPortFrom(netip.IPv6Loopback(), 1), netip.AddrPortFrom(netip.IPv6Loopback(), 80), nil)
	x := new(edge.Exchange)
	x.Begin(nil, &client, time.Now())
	defer x.End()
	x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "localhost", Path: "/", Proto: "HTTP/1.1"}
	for _, l := range [...]edge.Field{{Name: "User-Agent", Value: "sluice"}, {Name: "Accept", Value: "*/*"}, {Name: "Accept-Encoding", Value: "gzip"}} {
		x.Request.Fields.Add(l.Name, l.Value)
	}
	g := f.begin(x)
	g.in, g.req, g.phase, g.features, g.silent = in, &x.Request, inRequest, enabled, true
	g.use = hostmod.Use{Guest: f.cfg.Host, Exchange: x, Rehearsal: true, Passed: f.role == asFunction}
	in.State = g
	v, err := g.handle()
	if err != nil || !v.next || f.role == asFunction {
		return err
	}
	g.forward()
	x.Respond(200, edge.Content([]byte("ok\n")), 3)
	x.Response.Fields.Add("Content-Type", "text/plain")
	return g.response(v.ctx, false)
}
