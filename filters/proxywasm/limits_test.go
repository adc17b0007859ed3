package proxywasm

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

func TestDefaults(t *testing.T) {
	var c Config
	c.Name = "name"
	c.setDefaults()
	got := fmt.Sprintln(c.Body, c.Fields, c.Pause, c.Tick, c.Calls, c.CallTime, c.Done, c.LogBytes, c.LogLines, c.VM, c.Data.cfg)
	if want := "1048576 65536 30s 100ms 16 30s 5s 4096 100 name {16777216 10000 1048576 100 1000}\n"; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// Fields and properties that a guest sets are counted, each with what its line costs.
func TestFieldLimit(t *testing.T) {
	const seen = int64(len("x-seen")+8) + fieldLine
	for _, c := range []struct {
		mode string
		cost int64
		want string
	}{
		{"F", int64(len("x-more")+len("more")) + fieldLine, "F"},
		{"P", int64(len("a")+len("value")) + fieldLine, "P"},
	} {
		for _, n := range []int64{1, 10, 1000} {
			f := loadGuestIn(t, c.mode, Config{Fields: seen + n*c.cost + c.cost - 1, Timeout: patience})
			o := &origin{}
			exchange(f, o, request1("GET", "/", nil, 0))
			more := int64(0)
			for range o.fields.Values("x-more") {
				more++
			}
			if c.mode == "F" && more != n || c.mode == "P" && more != 0 {
				t.Errorf("%s: %d lines, not %d", c.mode, more, n)
			}
		}
	}
}

// A guest has so many requests of its own on their way as Calls says, and each as long
// as CallTime.
func TestCallLimits(t *testing.T) {
	for _, n := range []int{1, 3} {
		f := loadGuestIn(t, "o", Config{Calls: n, CallTime: time.Millisecond, Upstream: stuck, Fetch: []string{"api"}})
		r := exchange(f, &origin{}, request1("GET", "/", nil, 0))
		if r.status != 200+n || r.body != "the upstream has not answered" {
			t.Errorf("%d calls: %d %q, %v", n, r.status, r.body, r.err)
		}
	}
}

// stuck is an upstream that does not answer.
func stuck(name string) (edge.Handler, bool) {
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		<-x.Context().Done()
		return &edge.Error{Kind: edge.ResponseTimeout, Op: "read"}
	}), name == "api"
}

// What a call answers is held within Body.
func TestCallBody(t *testing.T) {
	for limit, want := range map[int64]string{5: "answered", 4: "failed"} { // it is "GET /"
		f := loadGuestIn(t, "O", Config{Body: limit, Tick: time.Millisecond, Fetch: []string{"api"}, Upstream: api})
		said(t, f, want)
	}
}

// The root context may call as well. What it calls ends with the filter.
func TestRootCalls(t *testing.T) {
	f := loadGuestIn(t, "O", Config{Tick: time.Millisecond, Upstream: api, Fetch: []string{"api"}, Fields: 40})
	said(t, f, "answered")
	f = loadGuestIn(t, "O", Config{Tick: time.Millisecond, CallTime: time.Millisecond, Upstream: stuck, Fetch: []string{"api"}})
	said(t, f, "failed")
	f = loadGuestIn(t, "O", Config{Tick: time.Millisecond})
	said(t, f, "refused")
	f = loadGuestIn(t, "O", Config{Tick: time.Millisecond, Upstream: api, Fetch: []string{"api"}, Fields: 39}) // its head has one more
	said(t, f, "refused")
	f = loadGuestIn(t, "O", Config{Tick: time.Millisecond, CallTime: time.Hour, Upstream: stuck, Fetch: []string{"api"}})
	until(t, func() bool {
		f.root.mu.Lock()
		defer f.root.mu.Unlock()
		return f.root.pending == 1
	})
	closed(t, f)
}

// Content that the guest holds for longer than Body is refused: to the client what it
// sends, and what the upstream sends with 502.
func TestOversizedResponse(t *testing.T) {
	f := loadGuestIn(t, "b", Config{Body: 10})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	o := &origin{answer: func(x *edge.Exchange) error {
		x.Respond(200, edge.Content([]byte(strings.Repeat("a", 5000))), 5000)
		return nil
	}}
	if err := f.Filter(x, o); err != nil { // it is whole, and let go
		t.Errorf("%v", err)
	}
	r := exchange(f, &origin{answer: func(x *edge.Exchange) error {
		x.Respond(200, &streamed{pieces: []string{"12345", "67890", "1", "2"}}, -1)
		return nil
	}}, request1("GET", "/", nil, 0))
	if w := f.Stats().Failures[wasm.Oversized]; r.err == nil || w != 1 {
		t.Errorf("%d %q, %v, %d failures", r.status, r.body, r.err, w)
	}
	// What is at hand is shown by pieces as well, before the head is passed on.
	r = exchange(f, &origin{answer: func(x *edge.Exchange) error {
		x.Respond(200, edge.Content(make([]byte, 4*piece)), 4*piece)
		return nil
	}}, request1("GET", "/", nil, 0))
	if r.err == nil || statusOf(r.err) != 502 {
		t.Errorf("%d of %d bytes, %v", r.status, len(r.body), r.err)
	}
}

// Instances wait for memory as long as a call may take, and are refused then.
func TestInFlight(t *testing.T) {
	const memory = 2 << 16 // what the guest begins with
	if _, err := loadingModes(t, "p", Config{Memory: memory - 1}); err == nil || !strings.Contains(err.Error(), "more than the 131071 allowed") {
		t.Errorf("%v", err)
	}
	f := loadGuestIn(t, "p", Config{Memory: memory, InFlight: memory, Timeout: 10 * time.Millisecond, Pause: patience})
	x := request1("GET", "/", nil, 0)
	done := make(chan result)
	go func() { done <- exchange(f, &origin{}, x) }()
	until(t, func() bool { return f.Stats().Instances == 1 })
	if r := exchange(f, &origin{}, request1("GET", "/", nil, 0)); r.err == nil || statusOf(r.err) != 503 || f.Stats().Failures[wasm.Exhausted] != 1 {
		t.Errorf("%d, %v", r.status, r.err)
	}
	x.Cancel(errors.New("gone"))
	<-done
}

// What an exchange logs is bounded by bytes, and what all do by lines in a second.
func TestLogLimits(t *testing.T) {
	var logged strings.Builder
	f := loadGuestIn(t, "l", Config{Timeout: 20 * time.Millisecond, LogBytes: 1000, LogLines: 2, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	exchange(f, &origin{}, request1("GET", "/", nil, 0))
	n := 0
	for _, l := range f.Journal().Lines() {
		n += len(l.Text)
	}
	if n < 1000 || n > 1003 { // and "..."
		t.Errorf("%d bytes are kept", n)
	}
	if n := strings.Count(logged.String(), "filter says"); n < 1 || n > 20 {
		t.Errorf("%d lines are logged", n)
	}
}

func TestTickFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Filter{cfg: Config{Tick: 50 * time.Millisecond}}
		f.root.init(f)
		for ms, want := range map[int]time.Duration{0: 0, 1: 50, 50: 50, 51: 51} {
			f.root.every(time.Duration(ms) * time.Millisecond)
			if f.root.period != want*time.Millisecond {
				t.Errorf("%d ms are %v", ms, f.root.period)
			}
		}
		f.root.end()
	})
}

// The root context is told of so many messages at most.
func TestReadyLimit(t *testing.T) {
	f := &Filter{}
	f.root.init(f)
	defer f.root.end()
	for range maxReady + 10 {
		f.root.queued(1)
	}
	if n := len(f.root.ready); n != maxReady {
		t.Errorf("%d messages are to be told of", n)
	}
}

func TestSharedLimits(t *testing.T) {
	is := func(what string, got, want status) {
		t.Helper()
		if got != want {
			t.Errorf("%s: status %d, not %d", what, got, want)
		}
	}
	s := NewShared(SharedConfig{Bytes: 20, Keys: 2, Value: 10, Queues: 2, Queued: 2})
	is("a value too long", s.set("vm", "a", make([]byte, 11), 0), internalFailure)
	is("a value", s.set("vm", "a", make([]byte, 10), 0), statusOK)
	is("too many bytes", s.set("vm", "b", make([]byte, 9), 0), internalFailure)
	is("as many as may be", s.set("vm", "b", make([]byte, 8), 0), statusOK)
	is("a longer one", s.set("vm", "b", make([]byte, 9), 0), internalFailure)
	is("shorter ones", s.set("vm", "a", nil, 0), statusOK)
	is("too many keys", s.set("vm", "c", nil, 0), internalFailure)
	is("another machine's", s.set("other", "c", make([]byte, 10), 0), statusOK)
	if _, ok := s.register("vm", "12345678901", nil); ok {
		t.Error("a queue's name is more than there may be")
	}
	q, ok := s.register("vm", "q", nil)
	if again, ok2 := s.register("vm", "q", nil); !ok || !ok2 || again != q {
		t.Errorf("queue %d %v, and %d %v", q, ok, again, ok2)
	}
	if _, ok := s.register("vm", "r", nil); !ok {
		t.Error("no second queue")
	}
	if _, ok := s.register("vm", "s", nil); ok {
		t.Error("a third queue")
	}
	if id, ok := s.resolve("vm", "q"); !ok || id != q {
		t.Errorf("queue %d, %v", id, ok)
	}
	s = NewShared(SharedConfig{Bytes: 20, Value: 10, Queued: 2})
	q, _ = s.register("vm", "q", nil)
	delete(s.find(q).readers, nil)
	is("no queue", s.enqueue(q+1, nil), notFound)
	is("a message too long", s.enqueue(q, make([]byte, 11)), notFound)
	is("a message", s.enqueue(q, make([]byte, 10)), statusOK)
	is("too many bytes", s.enqueue(q, make([]byte, 10)), notFound)
	is("one more", s.enqueue(q, nil), statusOK)
	is("too many", s.enqueue(q, nil), notFound)
	for range 2 {
		_, st := s.dequeue(q)
		is("the first", st, statusOK)
	}
	_, st := s.dequeue(q)
	is("none", st, isEmpty)
	is("room again", s.enqueue(q, make([]byte, 10)), statusOK)
}

// Lists of pairs and paths of properties are bounded.
func TestHostLimits(t *testing.T) {
	if _, ok := parsePairs(listOf(make([]edge.Field, maxPairs)...)); !ok {
		t.Errorf("%d pairs are refused", maxPairs)
	}
	if _, ok := parsePairs(listOf(make([]edge.Field, maxPairs+1)...)); ok {
		t.Errorf("%d pairs are taken", maxPairs+1)
	}
	f := loadGuestIn(t, "-", Config{})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	_, v := enterHost(t, f, x)
	for n, want := range map[uint64]status{0: badArgument, maxPath: statusOK, maxPath + 1: badArgument} {
		if got := callHost(v, "proxy_set_property", 0, n, 0, 1); got != want {
			t.Errorf("a path of %d bytes: status %d", n, got)
		}
	}
}

// callHost calls a host function.
func callHost(v *vm, name string, params ...uint64) status {
	stack := make([]uint64, 12)
	copy(stack, params)
	for _, fn := range host.Funcs {
		if fn.Name == name {
			fn.Call(v.in, stack)
			return status(stack[0])
		}
	}
	panic("there is no " + name)
}
