// The tour on the SDK of Go: see ../README.md.
package main

import (
	"bytes"
	"errors"
	"strconv"
	"strings"

	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm"
	"github.com/tetratelabs/proxy-wasm-go-sdk/proxywasm/types"
)

func init() { proxywasm.SetVMContext(new(machine)) }

func main() {}

type machine struct{ types.DefaultVMContext }

func (*machine) NewPluginContext(uint32) types.PluginContext { return new(plugin) }

type plugin struct {
	types.DefaultPluginContext
	api      string // the upstream that is called
	requests proxywasm.MetricCounter
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	config, err := proxywasm.GetPluginConfiguration()
	if err != nil {
		proxywasm.LogError(err.Error())
		return types.OnPluginStartStatusFailed
	}
	p.api = string(config)
	p.requests = proxywasm.DefineCounterMetric("tour.requests")
	proxywasm.LogInfof("configured: %s", p.api)
	must(proxywasm.SetTickPeriodMilliSeconds(100))
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnTick() { proxywasm.LogInfof("tick %d", count("ticks")) }

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &tour{plugin: p} }

// count adds one to a number in the shared data, and returns it.
func count(key string) int {
	for {
		value, cas, err := proxywasm.GetSharedData(key)
		if !errors.Is(err, types.ErrorStatusNotFound) {
			must(err)
		}
		n, _ := strconv.Atoi(string(value)) // 0 of nothing
		n++
		err = proxywasm.SetSharedData(key, []byte(strconv.Itoa(n)), cas)
		if errors.Is(err, types.ErrorStatusCasMismatch) {
			continue
		}
		must(err)
		return n
	}
}

// must ends the call if the host refuses what it is to grant.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

type tour struct {
	types.DefaultHttpContext
	plugin *plugin
	path   string
}

func (t *tour) OnHttpRequestHeaders(int, bool) types.Action {
	t.plugin.requests.Increment(1)
	var err error
	t.path, err = proxywasm.GetHttpRequestHeader(":path")
	must(err)
	method, err := proxywasm.GetProperty([]string{"request", "method"})
	must(err)
	must(proxywasm.ReplaceHttpRequestHeader("x-tour", string(method)))
	must(proxywasm.RemoveHttpRequestHeader("x-secret"))
	switch {
	case t.path == "/deny":
		must(proxywasm.SendHttpResponse(403, [][2]string{{"x-why", "tour"}}, []byte("no\n"), -1))
		return types.ActionPause
	case t.path == "/count":
		must(proxywasm.AddHttpRequestHeader("x-count", strconv.Itoa(count("count"))))
	case t.path == "/upper":
		must(proxywasm.RemoveHttpRequestHeader("content-length"))
	case strings.HasPrefix(t.path, "/call"):
		fields := [][2]string{{":method", "GET"}, {":path", t.path}, {":authority", "api"}, {"x-from", "tour"}}
		if _, err := proxywasm.DispatchHttpCall(t.plugin.api, fields, nil, nil, 3000, t.called); err != nil {
			must(proxywasm.SendHttpResponse(500, nil, []byte("not called: "+err.Error()+"\n"), -1))
		}
		return types.ActionPause
	}
	return types.ActionContinue
}

func (t *tour) called(fields, size, _ int) {
	status := "nothing"
	if fields > 0 {
		all, err := proxywasm.GetHttpCallResponseHeaders()
		must(err)
		for _, f := range all {
			if f[0] == ":status" {
				status = f[1]
			}
		}
	}
	if status != "200" {
		must(proxywasm.SendHttpResponse(503, nil, []byte("api said "+status+"\n"), -1))
		return
	}
	user, err := proxywasm.GetHttpCallResponseBody(0, size)
	must(err)
	must(proxywasm.AddHttpRequestHeader("x-user", string(user)))
	must(proxywasm.ResumeHttpRequest())
}

func (t *tour) OnHttpRequestBody(size int, end bool) types.Action {
	switch {
	case t.path != "/upper":
		return types.ActionContinue
	case !end:
		return types.ActionPause
	}
	content, err := proxywasm.GetHttpRequestBody(0, size)
	must(err)
	must(proxywasm.ReplaceHttpRequestBody(bytes.ToUpper(content)))
	return types.ActionContinue
}

func (t *tour) OnHttpResponseHeaders(int, bool) types.Action {
	must(proxywasm.AddHttpResponseHeader("x-tour", "done"))
	if t.path == "/append" {
		must(proxywasm.RemoveHttpResponseHeader("content-length"))
	}
	return types.ActionContinue
}

func (t *tour) OnHttpResponseBody(_ int, end bool) types.Action {
	if t.path == "/append" && end {
		must(proxywasm.AppendHttpResponseBody([]byte("!")))
	}
	return types.ActionContinue
}

func (t *tour) OnHttpResponseTrailers(int) types.Action {
	must(proxywasm.AddHttpResponseTrailer("x-end", "tour"))
	return types.ActionContinue
}

func (t *tour) OnHttpStreamDone() {
	status, err := proxywasm.GetHttpResponseHeader(":status")
	must(err)
	proxywasm.LogInfof("done: %s %s", t.path, status)
}
