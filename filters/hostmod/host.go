package hostmod

import (
	"errors"
	"fmt"
	"log/slog"
	"math"

	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// status is a negative result.
type status int64

const (
	none        status = -1
	conflict    status = -2
	denied      status = -3
	invalid     status = -4
	limited     status = -5
	failed      status = -6
	timedOut    status = -7
	unavailable status = -8
	gone        status = -9
)

// call is a guest's call of a function.
type call struct {
	*Use
	in    *wasm.Instance
	party Party
	s     []uint64 // parameters
}

// ptr returns the i-th parameter, an i32.
func (c *call) ptr(i int) uint32 { return uint32(c.s[i]) }

// bytes returns the text whose pointer is the i-th parameter, which is valid until
// the guest goes on.
func (c *call) bytes(i int) []byte { return c.in.Read(c.ptr(i), c.ptr(i+1)) }

// text returns a copy of it, or "" and false if it is longer than that.
func (c *call) text(i, longest int) (string, bool) {
	b := c.bytes(i)
	if len(b) > longest {
		return "", false
	}
	return string(b), true
}

// put writes a text to the buffer that is the i-th parameter and the next, if it
// fits, and returns its length.
func (c *call) put(i int, v string) int64 {
	if uint64(len(v)) > math.MaxInt32 {
		return int64(limited)
	}
	if len(v) <= int(c.ptr(i+1)) {
		copy(c.in.Read(c.ptr(i), uint32(len(v))), v)
	}
	return int64(len(v))
}

// putList writes texts likewise, each ended by NUL, and returns how many they are and
// their length.
func (c *call) putList(i int, list []string) int64 {
	n := 0
	for _, v := range list {
		n += len(v) + 1
	}
	if n <= int(c.ptr(i+1)) && n > 0 {
		b := c.in.Read(c.ptr(i), uint32(n))[:0]
		for _, v := range list {
			b = append(append(b, v...), 0)
		}
	}
	return int64(len(list))<<32 | int64(n)
}

// wait runs f, which waits, while the guest's time stands still.
func (c *call) wait(f func()) {
	c.party.Sleep()
	c.in.Wait(f)
}

// fail logs why something has failed that the guest cannot be blamed for.
func (c *call) fail(what string, err error) int64 {
	c.guest().log.Log(levelOfFailure, "guest: "+what+" failed", "err", err)
	return int64(failed)
}

// deny logs what the guest is not allowed, and how it would be. The name is the first
// parameter.
func (c *call) deny(what, line string) int64 {
	log := c.guest().log
	if !log.Ready(slog.LevelWarn) {
		return int64(denied)
	}
	name := string(c.bytes(0))
	log.Log(slog.LevelWarn, "guest asks for "+what+" that it is not allowed: write its allow line", "line", "allow: { "+fmt.Sprintf(line, name)+" }")
	return int64(denied)
}

// served reports whether the guest may have an effect on others than the exchange.
func (c *call) served() bool { return c.Exchange != nil || c.Root }

// quiet reports whether what the guest does is to have no effect.
func (c *call) quiet() bool { return c.guest().env.Quiet }

// leaves is called by what has an effect, or an answer, beyond the exchange.
func (c *call) leaves() {
	if c.Rehearsal {
		panic(wasm.Trap("what is outside is not to be had in a rehearsal"))
	}
}

// Host returns the module for an engine.
func Host() *wasm.Host { return host }

// function is one of the module's: exchange says that there has to be one.
type function struct {
	name       string
	capability Capability
	params     []wasm.ValueType
	result     wasm.ValueType
	call       func(c *call) int64
}

var functions = func() []function {
	const i32, i64 = wasm.I32, wasm.I64
	p := func(t ...wasm.ValueType) []wasm.ValueType { return t }
	return []function{
		{"kv_get", KV, p(i32, i32, i32, i32, i32, i32, i32), i32, (*call).kvGet},
		{"kv_set", KV, p(i32, i32, i32, i32, i32, i32, i64, i64), i64, (*call).kvSet},
		{"kv_delete", KV, p(i32, i32, i32, i32, i64), i32, (*call).kvDelete},
		{"kv_add", KV, p(i32, i32, i32, i32, i64, i64, i32), i32, (*call).kvAdd},
		{"kv_list", KV, p(i32, i32, i32, i32, i32, i32, i32, i32), i64, (*call).kvList},

		{"fetch_start", Fetch, p(i32, i32, i32, i32, i32, i32, i32, i32, i64, i32), i32, (*call).fetchStart},
		{"fetch_write", Fetch, p(i32, i32, i32), i32, (*call).fetchWrite},
		{"fetch_finish", Fetch, p(i32), i32, (*call).fetchFinish},
		{"fetch_status", Fetch, p(i32), i32, (*call).fetchStatus},
		{"fetch_names", Fetch, p(i32, i32, i32), i64, (*call).fetchNames},
		{"fetch_values", Fetch, p(i32, i32, i32, i32, i32), i64, (*call).fetchValues},
		{"fetch_read", Fetch, p(i32, i32, i32), i32, (*call).fetchRead},
		{"fetch_close", Fetch, p(i32), i32, (*call).fetchClose},

		{"metric_define", Metrics, p(i32, i32, i32, i32, i32), i32, (*call).metricDefine},
		{"metric_add", Metrics, p(i32, i64), i32, (*call).metricAdd},
		{"metric_record", Metrics, p(i32, i64), i32, (*call).metricRecord},

		{"log_field", Log, p(i32, i32, i32, i32), i32, (*call).logField},
		{"client_get", Client, p(i32, i32, i32), i32, (*call).clientGet},
		{"route_get", Route, p(i32, i32, i32), i32, (*call).routeGet},
		{"route_choose", Route, p(i32, i32, i32), i32, (*call).routeChoose},
		{"hints_send", Hints, p(i32, i32), i32, (*call).hintsSend},
		{"secret_get", Secrets, p(i32, i32, i32, i32), i32, (*call).secretGet},
	}
}()

// capabilities says what each function belongs to.
var capabilities = func() map[string]Capability {
	all := make(map[string]Capability)
	for _, f := range functions {
		all[f.name] = f.capability
	}
	return all
}()

var host = func() *wasm.Host {
	h := &wasm.Host{Name: Name}
	for _, f := range functions {
		results := []wasm.ValueType{f.result}
		h.Funcs = append(h.Funcs, wasm.HostFunc{Name: f.name, Params: f.params, Results: results, Call: func(in *wasm.Instance, stack []uint64) {
			party, ok := in.State.(Party)
			if !ok {
				panic(wasm.Trap("%s.%s is called while nobody is served", Name, f.name))
			}
			u := party.Host()
			u.now = call{Use: u, in: in, party: party, s: stack}
			n := f.call(&u.now)
			u.now = call{}
			if f.result == wasm.I32 {
				n = int64(uint32(n))
			}
			stack[0] = uint64(n)
		}})
	}
	return h
}()

// storeStatus is the result that stands for an error of the key-value store.
func (c *call) storeStatus(err error) int64 {
	for _, e := range []struct {
		err error
		s   status
	}{{kv.ErrNone, none}, {kv.ErrConflict, conflict}, {kv.ErrInvalid, invalid}, {kv.ErrLimit, limited}} {
		if errors.Is(err, e.err) {
			return int64(e.s)
		}
	}
	return c.fail("key-value store", err)
}
