package hostmod

import (
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// docs/abi.md has the functions that there are, with their types, and what they are of.
func TestDocs(t *testing.T) {
	page, err := os.ReadFile("../../docs/abi.md")
	if err != nil {
		t.Fatal(err)
	}
	row := regexp.MustCompile("(?m)^\\| `([a-z]+_[a-z]+)` \\| `\\(([a-z_0-9, ]*)\\) -> (i32|i64)` \\|")
	_, section, _ := strings.Cut(string(page), "## The sluice module")
	section, _, _ = strings.Cut(section, "\n## ")
	var got, want []string
	for _, m := range row.FindAllStringSubmatch(section, -1) {
		types := ""
		for _, p := range strings.Split(m[2], ", ") {
			if strings.HasSuffix(p, " i64") {
				types += "i64 "
			} else {
				types += "i32 "
			}
		}
		got = append(got, m[1]+" "+types+"-> "+m[3])
	}
	word := map[wasm.ValueType]string{wasm.I32: "i32", wasm.I64: "i64"}
	for _, f := range functions {
		types := ""
		for _, p := range f.params {
			types += word[p] + " "
		}
		want = append(want, f.name+" "+types+"-> "+word[f.result])
		if !strings.Contains(section, "`"+string(f.capability)+"`") {
			t.Errorf("docs/abi.md does not name the capability %s", f.capability)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/abi.md says\n%s\nand there are\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestCheck(t *testing.T) {
	info := &compiled(t).Info
	f := func(g *Grants, want string) {
		t.Helper()
		got := ""
		if err := Check(info, g); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	}
	f(&all, "")
	g := all
	g.Route, g.KV = false, nil
	f(&g, `imports sluice.kv_get, sluice.kv_set, sluice.kv_delete, sluice.kv_add, sluice.kv_list, and is not allowed to: write "allow: { kv: [NAMESPACE] }"`+"\n"+
		`imports sluice.route_get, sluice.route_choose, and is not allowed to: write "allow: { route: yes }"`)
	if got := Needs(info); !slices.Equal(got, []Capability{Fetch, Hints, KV, Metrics, Route, Secrets}) {
		t.Errorf("it needs %v", got)
	}
	var nobody *Guest
	if err := nobody.Check(info); err == nil || !strings.Contains(err.Error(), "allow: { fetch: [UPSTREAM] }") {
		t.Errorf("without grants: %v", err)
	}
	hello, err := engine().Inspect(guests.Read(t, "hello"))
	if err != nil {
		t.Fatal(err)
	}
	if err := nobody.Check(hello); err != nil {
		t.Errorf("a module that imports nothing of it: %v", err)
	}
}

// What is not granted is denied, also to a guest that has got past the check.
func TestDenied(t *testing.T) {
	r := start(t, Grants{}, Env{KV: store(t, kv.Config{}), Upstream: named("api"), Metrics: NewRegistry(MeterConfig{}).Of("filter", "f")})
	for _, f := range functions {
		args := make([]any, len(f.params))
		for i := range args {
			args[i] = 0
		}
		want := int64(denied)
		switch f.capability {
		case Log, Client:
			continue
		case Fetch:
			if f.name != "fetch_start" {
				want = int64(invalid) // there is no handle
			}
		}
		r.want(want, f.name, args...)
	}
}

// While a guest is initialised, nothing that it does has an effect on others.
func TestUnavailable(t *testing.T) {
	s := store(t, kv.Config{})
	m := NewRegistry(MeterConfig{}).Of("filter", "f")
	r := start(t, all, Env{KV: s, Upstream: upstream(echo).Upstream, Metrics: m})
	r.use.Exchange = nil
	r.want(0, "metric_define", 1, "level", "")
	r.wantText("hunter2", "secret_get", "key")
	r.want(-8, "kv_get", "a", "k", buf, limit, 0)
	r.want(-8, "kv_set", "a", "k", "v", 0, -1)
	r.want(-8, "kv_list", "a", "", "", buf, limit)
	r.want(-8, "metric_record", 0, 5)
	r.want(-8, "fetch_start", "api", "GET", "/", "", 0, 0)
	r.want(-8, "log_field", "a", "b")
	r.want(-8, "client_get", 0, buf, limit)
	r.want(-8, "route_get", 0, buf, limit)
	r.want(-8, "route_choose", 3, "api")
	r.want(-8, "hints_send", "a\x00b\x00")
	// A root has what needs no exchange.
	r.use.Root = true
	if v := r.call("kv_set", "a", "k", "v", 0, -1); v <= 0 {
		t.Errorf("got %d", v)
	}
	r.want(0, "metric_record", 0, 5)
	r.want(-8, "log_field", "a", "b")
	// Who is no party is told.
	in := r.in
	in.State = nil
	_, err := r.try("client_get", 0, buf, limit)
	if f, ok := errors.AsType[*wasm.Failure](err); !ok || f.Cause != wasm.Misused || !strings.Contains(err.Error(), "while nobody is served") {
		t.Errorf("got %v", err)
	}
}

// In a rehearsal a guest has what is of the exchange, and ends when it wants anything else.
// Nothing of it is seen.
func TestRehearsal(t *testing.T) {
	s := store(t, kv.Config{})
	if _, err := s.Set("a", "k", []byte("7"), 0, kv.Any); err != nil {
		t.Fatal(err)
	}
	asked := 0
	reg := NewRegistry(MeterConfig{})
	m := reg.Of("filter", "f")
	if _, err := m.Define(Counter, "seen_total", ""); err != nil {
		t.Fatal(err)
	}
	env := upstream(func(x *edge.Exchange) error {
		asked++
		x.Respond(204, nil, 0)
		return nil
	})
	env.KV, env.Metrics, env.Function = s, m, named("fn")
	r := start(t, all, env)
	r.use.Rehearsal = true
	r.x.Record.Arm, r.x.Arms = "one", []string{"one", "two"}
	r.wantText("192.0.2.7", "client_get", 0)
	r.wantText("hunter2", "secret_get", "key")
	r.wantText("one", "route_get", 2)
	r.want(0, "route_choose", 2, "two")
	r.want(0, "log_field", "a", "b")
	r.want(0, "metric_define", 0, "seen_total", "")
	r.want(0, "metric_add", 0, 1)
	r.want(-4, "metric_add", 1, 1)
	r.want(-3, "kv_get", "b", "k", buf, limit, 0) // not granted
	r.want(-3, "fetch_start", "other", "GET", "/", "", 0, 0)
	for _, call := range [][]any{
		{"kv_get", "a", "k", buf, limit, 0},
		{"kv_list", "a", "", "", buf, limit},
		{"kv_set", "a", "k", "v", 0, -1},
		{"kv_delete", "a", "k", -1},
		{"kv_add", "a", "k", 1, 0, buf},
		{"fetch_start", "api", "GET", "/", "", 0, 0},
		{"metric_define", 0, "new_total", ""},
		{"route_choose", 3, "api"},
		{"route_choose", 4, "fn"},
	} {
		if n, err := r.try(call[0].(string), call[1:]...); err == nil || !strings.Contains(err.Error(), "not to be had in a rehearsal") {
			t.Errorf("%v: %d, %v", call, n, err)
		}
		r.again()
	}
	if e, err := s.Get("a", "k"); err != nil || string(e.Value) != "7" {
		t.Errorf("the value is %q, %v", e.Value, err)
	}
	if v, _ := m.Value(0); v != 0 {
		t.Errorf("%d is counted", v)
	}
	reg.All(func(_, _ string, s *Series) {
		if s.Name != "seen_total" {
			t.Errorf("metric %s is there", s.Name)
		}
	})
	if asked != 0 || r.x.Target != nil {
		t.Errorf("upstreams were asked %d times; target is %v", asked, r.x.Target)
	}
}

// What is to have no effect may read, and is told that it cannot change anything.
func TestQuiet(t *testing.T) {
	s := store(t, kv.Config{})
	if _, err := s.Set("a", "k", []byte("7"), 0, kv.Any); err != nil {
		t.Fatal(err)
	}
	var asked []string
	m := NewRegistry(MeterConfig{}).Of("filter", "f")
	env := upstream(func(x *edge.Exchange) error {
		asked = append(asked, x.Request.Method)
		x.Respond(204, nil, 0)
		return nil
	})
	env.KV, env.Metrics, env.Quiet = s, m, true
	env.Function = named("fn")
	r := start(t, all, env)
	r.x.Record.Arm, r.x.Arms = "one", []string{"one", "two"}
	r.wantText("7", "kv_get", "a", "k")
	r.wantText("k\x00", "kv_list", "a", "", "")
	r.want(-8, "kv_set", "a", "k", "v", 0, -1)
	r.want(-8, "kv_delete", "a", "k", -1)
	r.want(-8, "kv_add", "a", "k", 1, 0, buf)
	r.want(-3, "kv_set", "b", "k", "v", 0, -1) // what is not granted is not, here either
	if e, err := s.Get("a", "k"); err != nil || string(e.Value) != "7" {
		t.Errorf("the value is %q, %v", e.Value, err)
	}
	r.want(0, "metric_define", 0, "seen_total", "")
	r.want(-8, "metric_add", 0, 1)
	r.want(-8, "metric_record", 0, 1)
	r.want(-8, "route_choose", 2, "two")
	r.want(-8, "route_choose", 3, "api")
	r.want(-8, "route_choose", 4, "fn")
	r.wantText("one", "route_get", 2)
	r.want(-8, "hints_send", "a\x00b\x00")
	if r.x.Target != nil || r.x.Request.Fields.Has(ArmField) || len(r.client.informed) != 0 {
		t.Errorf("target %v, fields %v, hints %q", r.x.Target, r.x.Request.Fields, r.client.informed)
	}
	r.want(0, "log_field", "a", "b")
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "get", "PURGE"} {
		r.want(-8, "fetch_start", "api", method, "/", "", 0, 0)
	}
	for i, method := range []string{"GET", "HEAD", "OPTIONS"} {
		r.want(int64(i)+1, "fetch_start", "api", method, "/", "", 0, 0)
		r.want(204, "fetch_status", i+1)
	}
	if !slices.Equal(asked, []string{"GET", "HEAD", "OPTIONS"}) {
		t.Errorf("the upstream was asked %q", asked)
	}
}

// Whatever a guest gives, it harms itself at most: it fails with the cause abi, or the
// call has a result.
func TestHostile(t *testing.T) {
	env := upstream(echo)
	env.KV, env.Metrics = store(t, kv.Config{}), NewRegistry(MeterConfig{}).Of("filter", "f")
	r := start(t, all, env)
	values := []uint64{0, 1, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff, 196608, 196607}
	traps := 0
	for _, f := range functions {
		for n := range len(values) * len(values) {
			args := make([]any, len(f.params))
			for i := range args {
				v := values[n%len(values)]
				if i%2 == 1 {
					v = values[n/len(values)]
				}
				if f.params[i] == wasm.I64 {
					v |= v << 32
				}
				args[i] = v
			}
			_, err := r.try(f.name, args...)
			if err == nil {
				continue
			}
			traps++
			if w, ok := errors.AsType[*wasm.Failure](err); !ok || w.Cause != wasm.Misused {
				t.Errorf("%s%v: %v", f.name, args, err)
			}
			r.again()
		}
	}
	if traps == 0 {
		t.Error("nothing has failed")
	}
}

// What every exchange may call costs the host no memory.
func TestAllocations(t *testing.T) {
	env := Env{Metrics: NewRegistry(MeterConfig{}).Of("filter", "f")}
	r := start(t, all, env)
	r.want(0, "metric_define", 0, "seen_total", "")
	stack := make([]uint64, 16)
	for name, args := range map[string][]uint64{
		"client_get":    {0, buf, limit},
		"metric_add":    {0, 1},
		"metric_record": {0, 1},
		"route_get":     {1, buf, limit},
		"secret_get":    {buf, 3, buf, limit},
	} {
		copy(r.in.Read(buf, 3), "key")
		n := testing.AllocsPerRun(100, func() {
			clear(stack)
			copy(stack, args)
			if err := r.in.Call(name, stack); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func FuzzHost(f *testing.F) {
	f.Add([]byte("\x00" + strings.Repeat("\x00", 30)))
	f.Add([]byte("\x05api GET / host\x00x\x00" + strings.Repeat("\x01", 30)))
	f.Add([]byte("\x0dseen_total a\x00b\x00" + strings.Repeat("\x02", 30)))
	env := upstream(echo)
	env.KV, env.Metrics = store(f, kv.Config{}), NewRegistry(MeterConfig{}).Of("filter", "f")
	f.Fuzz(func(t *testing.T, data []byte) {
		r := start(t, all, env)
		r.want(-1, "client_get", 4, buf, limit)
		for len(data) > 20 {
			fn := &functions[int(data[0])%len(functions)]
			args := make([]any, len(fn.params))
			for i := range args {
				v := uint64(data[1+i%10])
				switch {
				case v < 64: // into what is below
					v += 50_000
				case v >= 240:
					v |= ^uint64(0xff)
				default:
					v -= 64
				}
				args[i] = v
			}
			copy(r.in.Read(50_000, 64), data[11:])
			data = data[11:]
			if _, err := r.try(fn.name, args...); err != nil {
				if w, ok := errors.AsType[*wasm.Failure](err); !ok || w.Cause != wasm.Misused {
					t.Fatalf("%s%v: %v", fn.name, args, err)
				}
				return
			}
		}
	})
}
