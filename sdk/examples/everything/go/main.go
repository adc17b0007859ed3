// Everything is the guest that the SDKs' tests call. There is one in each language,
// which does what the field X-Do says, one thing a line, and adds a line X-Did to
// the response that says what has come of it. A thing is a function's name and its
// arguments, with a bar between each; an error is its number.
package main

import (
	crand "crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

func init() {
	sdk.Handle(sdk.Filter{Configure: configure, Request: request, Response: response})
}

func main() {}

var began = time.Now()

func configure(config []byte) error {
	if string(config) == "draw" {
		rand.Uint64()
	}
	return nil
}

func request(x *sdk.Exchange) sdk.Verdict {
	g := guest{x: x, verdict: sdk.Next}
	for _, line := range x.Request.Fields.Values("X-Do") {
		did, err := g.do(strings.Split(line, "|"))
		if code, ok := errors.AsType[proxy.Error](err); ok {
			did = strconv.Itoa(int(code))
		} else if err != nil {
			did = err.Error()
		}
		x.Response.Fields.Add("X-Did", did)
	}
	return g.verdict
}

func response(x *sdk.Exchange) {
	if v, ok := x.Value.(string); ok {
		x.Response.Fields.Set("X-Value", fmt.Sprintf("%s, failed %t", v, x.Failed()))
		x.Response.Trailers.Set("X-Sum", "2")
	}
}

// guest is the guest of one exchange.
type guest struct {
	x       *sdk.Exchange
	verdict sdk.Verdict
	fetches []*proxy.Response
}

func (g *guest) do(a []string) (string, error) {
	did := "ok"
	var err error
	switch a[0] {
	case "get":
		value, version, err := proxy.Namespace(a[1]).Get(a[2])
		return fmt.Sprintf("%d %s", version, value), err
	case "set":
		n, err := proxy.Namespace(a[1]).Set(a[2], []byte(a[3]), milliseconds(a[4]), int64(number(a[5])))
		return strconv.FormatInt(n, 10), err
	case "delete":
		err = proxy.Namespace(a[1]).Delete(a[2], int64(number(a[3])))
	case "add":
		n, err := proxy.Namespace(a[1]).Add(a[2], int64(number(a[3])), milliseconds(a[4]))
		return strconv.FormatInt(n, 10), err
	case "list":
		keys, err := proxy.Namespace(a[1]).List(a[2], a[3])
		return strings.Join(keys, ","), err

	case "start":
		f := proxy.Fetch{Upstream: a[1], Method: a[2], URI: a[3], Fields: []proxy.Field{{Name: a[4], Value: a[5]}},
			Length: int64(number(a[6])), Timeout: milliseconds(a[7])}
		r, err := f.Start()
		if err == nil {
			g.fetches = append(g.fetches, r)
		}
		return did, err
	case "write":
		_, err = g.fetch(a).Write([]byte(a[2]))
	case "finish":
		err = g.fetch(a).Finish()
	case "status":
		n, err := g.fetch(a).Status()
		return strconv.Itoa(n), err
	case "names":
		names, err := g.fetch(a).Names()
		return strings.Join(names, ","), err
	case "values":
		values, err := g.fetch(a).Values(a[2])
		return strings.Join(values, ","), err
	case "read":
		b, err := io.ReadAll(g.fetch(a))
		return string(b), err
	case "close":
		err = g.fetch(a).Close()

	case "counter":
		var c proxy.Counter
		if c, err = proxy.NewCounter(a[1], proxy.Field{Name: a[2], Value: a[3]}); err == nil {
			err = c.Add(int64(number(a[4])))
		}
	case "gauge":
		var m proxy.Gauge
		if m, err = proxy.NewGauge(a[1]); err == nil {
			err = errors.Join(m.Set(int64(number(a[2]))), m.Add(int64(number(a[3]))))
		}
	case "histogram":
		var h proxy.Histogram
		if h, err = proxy.NewHistogram(a[1]); err == nil {
			err = h.Record(int64(number(a[2])))
		}
	default:
		return g.other(a)
	}
	return did, err
}

// other is what is about the exchange.
func (g *guest) other(a []string) (did string, err error) {
	did = "ok"
	r := &g.x.Request
	switch a[0] {
	case "log":
		err = proxy.LogField(a[1], a[2])
	case "client":
		return proxy.Client(proxy.Fact(number(a[1])))
	case "route":
		return proxy.Name(proxy.Part(number(a[1])))
	case "choose":
		err = proxy.Choose(proxy.Part(number(a[1])), a[2])
	case "hints":
		err = proxy.Hints(proxy.Field{Name: a[1], Value: a[2]})
	case "copy": // by what the SDK has for that, or as io.Copy does by itself
		var r io.Reader = g.x.Request.Body
		if a[1] == "plain" {
			r = struct{ io.Reader }{r}
		}
		h := fnv.New64a()
		var w io.Writer = h
		if len(a) > 2 { // only the copying
			w = struct{ io.Writer }{io.Discard}
		}
		n, err := io.Copy(w, r)
		return strconv.FormatInt(n, 10) + " " + strconv.FormatUint(h.Sum64(), 10), err
	case "now":
		did = strconv.FormatInt(time.Now().UnixNano(), 10)
	case "monotonic":
		did = strconv.FormatInt(int64(time.Since(began)), 10)
	case "draw":
		drawn := make([]byte, number(a[1]))
		crand.Read(drawn) // never fails: crypto/rand
		did = hex.EncodeToString(drawn)
	case "secret":
		v, err := proxy.Secret(a[1])
		return string(v), err

	case "enable":
		did = strconv.Itoa(int(g.x.Enable(sdk.Features(number(a[1])))))
	case "value":
		g.x.Value = a[1]
	case "redirect":
		g.verdict = g.x.Redirect(number(a[1]), a[2])
	case "cookie":
		did = r.Cookie(a[1])
	case "arm":
		did = r.Arm()
	case "set-arm":
		r.SetArm(a[1])
	case "trailer":
		if _, err = io.ReadAll(r.Body); err != nil {
			return "", err
		}
		did = r.Trailers.Get(a[1])
		r.Trailers.Set("X-Sum", "1")
	case "random":
		did = strconv.FormatUint(rand.Uint64(), 16)
	case "map":
		m := map[string]int{}
		for i := range 64 {
			m[strconv.Itoa(i)] = i
		}
		did = strconv.Itoa(len(m))
	default:
		did = "there is no " + a[0]
	}
	return did, err
}

// fetch returns a fetch by its number, which is that of its start.
func (g *guest) fetch(a []string) *proxy.Response { return g.fetches[number(a[1])-1] }

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

func milliseconds(s string) time.Duration { return time.Duration(number(s)) * time.Millisecond }
