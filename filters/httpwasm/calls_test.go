package httpwasm

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// hand calls host functions in the place of a guest.
type hand struct {
	t testing.TB
	g *guest
}

// byHand begins an exchange with a guest that does nothing by itself.
func byHand(t testing.TB, f *Filter, x *edge.Exchange, enabled features) hand {
	t.Helper()
	g := f.begin(x)
	if err := g.start(); err != nil {
		t.Fatal(err)
	}
	g.features, g.requested.src = enabled, x.Request.Body
	t.Cleanup(func() {
		g.end()
		x.End()
	})
	return hand{t, g}
}

// next goes on to handle_response.
func (h hand) next(o edge.Handler) {
	h.t.Helper()
	h.g.forward()
	if err := o.Serve(h.g.x); err != nil {
		h.t.Fatal(err)
	}
	h.g.merge()
	h.g.phase, h.g.responded.src = inResponse, h.g.x.Response.Body
}

// call calls a host function, whose texts are put into the guest's memory from 0 on:
// each stands for a pointer and a length. The error is what the guest fails of.
func (h hand) call(name string, args ...any) (result uint64, err error) {
	h.t.Helper()
	stack, at := make([]uint64, 0, 5), uint32(0)
	for _, a := range args {
		switch a := a.(type) {
		case int:
			stack = append(stack, uint64(uint32(a)))
		case string:
			copy(h.g.in.Read(at, uint32(len(a))), a)
			stack = append(stack, uint64(at), uint64(len(a)))
			at += uint32(len(a))
		default:
			h.t.Fatalf("argument %v", a)
		}
	}
	i := slices.IndexFunc(host.Funcs, func(f wasm.HostFunc) bool { return f.Name == name })
	fn := host.Funcs[i]
	if len(stack) != len(fn.Params) {
		h.t.Fatalf("%s takes %d parameters, not %d", name, len(fn.Params), len(stack))
	}
	defer func() {
		if r := recover(); r != nil {
			err = r.(error)
		}
	}()
	stack = append(stack, 0)
	fn.Call(h.g.in, stack)
	return stack[0], nil
}

const (
	room = 4096 // where getters write to
	fill = '~'  // what is there
)

// get calls a getter with a limit, and returns what it has written and returned.
func (h hand) get(limit int, name string, args ...any) (text string, result uint64) {
	h.t.Helper()
	b := h.g.in.Read(room, 2048)
	for i := range b {
		b[i] = fill
	}
	result, err := h.call(name, append(args, room, limit)...)
	if err != nil {
		h.t.Fatalf("%s: %v", name, err)
	}
	text, rest, _ := strings.Cut(string(b), string(rune(fill)))
	if strings.Trim(rest, string(rune(fill))) != "" {
		h.t.Errorf("%s has written %q", name, b)
	}
	return text, result
}

// list is what a getter of a list writes and returns.
func list(values ...string) (text string, result uint64) {
	for _, v := range values {
		text += v + "\x00"
	}
	return text, uint64(len(values))<<32 | uint64(len(text))
}

func TestGetters(t *testing.T) {
	f := load(t, "hello", Config{Config: []byte("config")})
	x := request("PUT", "/a?b", nil, 12, "X-One", "1", "Accept", "a", "x-one", "2", "ACCEPT", "b", "X-Empty", "")
	h := byHand(t, f, x, 0)
	check := func(text string, result uint64, name string, args ...any) {
		t.Helper()
		n := int(uint32(result))
		for limit, want := range map[int]string{n: text, n + 100: text, -1: text, n - 1: "", 0: ""} {
			if n == 0 && limit < 0 {
				continue
			}
			if got, r := h.get(limit, name, args...); got != want || r != result {
				t.Errorf("%s(%v) with the limit %d: got %q, %#x, want %q, %#x", name, args, limit, got, r, want, result)
			}
		}
	}
	one := func(text, name string) { t.Helper(); check(text, uint64(len(text)), name) }
	lines := func(name string, args []any, values ...string) {
		t.Helper()
		text, result := list(values...)
		check(text, result, name, args...)
	}
	names := func(kind int, values ...string) { t.Helper(); lines("get_header_names", []any{kind}, values...) }
	values := func(kind int, name string, values ...string) {
		t.Helper()
		lines("get_header_values", []any{kind, name}, values...)
	}
	one("config", "get_config")
	one("PUT", "get_method")
	one("/a?b", "get_uri")
	one("HTTP/1.1", "get_protocol_version")
	one("192.0.2.1:1234", "get_source_addr")
	names(0, "host", "content-length", "x-one", "accept", "x-empty")
	values(0, "x-ONE", "1", "2")
	values(0, "accept", "a", "b")
	values(0, "x-empty", "")
	values(0, "x-none")
	values(0, "HOST", "example.org")
	values(0, "Content-Length", "12")
	names(1)
	values(1, "x-one")

	x.Request.Path, x.Request.Query = "", ""
	one("/", "get_uri")
	x.Request.Path = "*"
	one("*", "get_uri")
	for addr, want := range map[string]string{"[2001:db8::1]:80": "[2001:db8::1]:80", "[::ffff:192.0.2.7]:80": "192.0.2.7:80"} {
		client := edge.NewClient(netip.MustParseAddrPort(addr), netip.MustParseAddrPort("192.0.2.2:80"), nil)
		x.Client = &client
		one(want, "get_source_addr")
	}

	// More names than are compared with each other.
	var many []string
	x.Request.Fields.Reset()
	for i := range 2 * few {
		many = append(many, fmt.Sprintf("x-%d", i))
		x.Request.Fields.Add(fmt.Sprintf("X-%d", i), "")
	}
	for i := range few {
		x.Request.Fields.Add(fmt.Sprintf("x-%d", i), "again")
	}
	x.Request.Fields.Add("Host", "no")
	names(0, append([]string{"host", "content-length"}, many...)...)

	h.next(&origin{})
	if r, err := h.call("get_status_code"); r != 200 || err != nil {
		t.Errorf("the status is %d, %v", r, err)
	}
	names(1, "content-length", "server")
	values(1, "server", "origin")
	values(1, "content-length", "17")
	names(2) // there are none
	names(3)
}

// What traps, and when: q is before the next handler, r after it.
func TestTraps(t *testing.T) {
	f := load(t, "hello", Config{})
	check := func(phase string, enabled features, want string, name string, args ...any) {
		t.Helper()
		h := byHand(t, f, request("POST", "/", edge.Content([]byte("abc")), 3), enabled)
		if phase == "r" {
			h.next(&origin{})
		}
		_, err := h.call(name, args...)
		if want == "" && err == nil {
			return
		}
		if want == "" || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %s(%v) with features %d: %v, want %q", phase, name, args, enabled, err, want)
		}
	}
	const set, add, remove = "set_header_value", "add_header_value", "remove_header"
	check("q", 0, "is not a method", "set_method", "")
	check("q", 0, "is not a method", "set_method", "GET /")
	check("q", 0, "", "set_method", "GET")
	check("q", 0, "", "set_uri", "")
	check("q", 0, "is not an encoded path", "set_uri", "a")
	check("q", 0, "is not an encoded path", "set_uri", "http://a/")
	check("q", 0, "is not an encoded path", "set_uri", "/a b")
	check("q", 0, "is not an encoded path", "set_uri", "/\xff")
	check("q", 0, "is not an encoded path", "set_uri", "/#a")
	for _, name := range []string{"", "a b", "a:", "a\x00", "\xff"} {
		check("q", 0, "is not a field name", set, 0, name, "v")
		check("q", 0, "is not a field name", add, 1, name, "v")
		check("q", 0, "is not a field name", remove, 0, name)
		check("q", 0, "is not a field name", "get_header_values", 0, name, 0, 0)
	}
	for _, value := range []string{"a\r\nb: c", "\n", "a\x00"} {
		check("q", 0, "CR, LF or NUL", set, 0, "a", value)
		check("q", 0, "CR, LF or NUL", add, 1, "a", value)
	}
	for _, host := range []string{"", "a/b", "a b", "a@b", "a\xff"} {
		check("q", 0, "is not a host", set, 0, "host", host)
	}
	for _, code := range []int{0, 100, 199, 1000, -1} {
		check("q", 0, "is not the status of a final response", "set_status_code", code)
		check("r", bufferResponse, "is not the status of a final response", "set_status_code", code)
	}
	for _, kind := range []int{4, -1} {
		check("q", 0, "is no kind of field", "get_header_names", kind, 0, 0)
		check("q", 0, "is no kind of field", set, kind, "a", "b")
		check("q", 0, "is no kind of content", "write_body", kind, "a")
		check("q", 0, "is no kind of content", "read_body", kind, 0, 8)
	}
	check("q", 0, "is no kind of content", "write_body", 2, "a") // trailers have none
	check("q", 0, "empty buffer", "read_body", 0, 0, 0)

	// After the next handler.
	check("r", allFeatures, "after the next handler", "set_method", "GET")
	check("r", allFeatures, "after the next handler", "set_uri", "/")
	check("r", allFeatures, "after the next handler", set, 0, "a", "b")
	check("r", allFeatures, "after the next handler", set, 0, "host", "b")
	check("r", allFeatures, "after the next handler", add, 2, "a", "b")
	check("r", allFeatures, "after the next handler", remove, 0, "a")
	check("r", allFeatures, "after the next handler", "write_body", 0, "a")
	for _, enabled := range []features{0, bufferRequest, trailers, allFeatures} {
		want := "without the feature buffer_response"
		if enabled&bufferResponse != 0 {
			want = ""
		}
		check("r", enabled, want, "set_status_code", 201)
		check("r", enabled, want, set, 1, "a", "b")
		check("r", enabled, want, remove, 1, "a")
		check("r", enabled, want, "write_body", 1, "a")
		check("r", enabled, want, "read_body", 1, 0, 8)
		want = "without the feature trailers"
		if enabled&trailers != 0 {
			want = ""
		}
		check("q", enabled, want, set, 2, "a", "b")
		check("q", enabled, want, add, 3, "a", "b")
		check("q", enabled, want, remove, 3, "a")
	}
	check("r", bufferResponse, "without the feature trailers", set, 3, "a", "b")
	check("r", trailers, "without the feature buffer_response", set, 3, "a", "b")

	// What never traps.
	for _, phase := range []string{"q", "r"} {
		check(phase, 0, "", "log", 99, "a")
		check(phase, 0, "", "log", -99, "a")
		check(phase, 0, "", "log_enabled", 1<<30)
		check(phase, 0, "", "enable_features", -1)
		check(phase, 0, "", "get_header_names", 2, 0, 0)
		check(phase, 0, "", "get_status_code")
	}
}

// A guest holds no more than it may.
func TestHeldByGuest(t *testing.T) {
	f := load(t, "hello", Config{Fields: 1000, Body: 1000})
	long := strings.Repeat("a", 990)
	for _, c := range []struct {
		name string
		args []any
	}{
		{"set_method", []any{long}},
		{"set_uri", []any{"/" + long}},
		{"set_header_value", []any{0, "host", long}},
		{"set_header_value", []any{0, "a", long[:940]}},
		{"add_header_value", []any{1, "a", long[:940]}},
		{"write_body", []any{0, long}},
		{"write_body", []any{1, long}},
	} {
		h := byHand(t, f, request("GET", "/", nil, 0), 0)
		if _, err := h.call(c.name, c.args...); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err := h.call(c.name, c.args...)
		if err == nil || !strings.Contains(err.Error(), "more than the 1000 bytes") {
			t.Errorf("%s again: %v", c.name, err)
		}
	}
}

// Features are those of one exchange, unless they are enabled before there is one.
func TestFeatures(t *testing.T) {
	f := load(t, "caller", Config{})
	late := program{0}.next().hostCall("set_status_code", 201)
	for _, c := range []struct {
		p  program
		ok bool
	}{{late, false}, {append(program{2}, late[1:]...), true}, {late, false}} {
		x, err := c.p.do(f)
		if (err == nil) != c.ok {
			t.Errorf("features %d: %v", c.p[0], err)
		}
		x.End()
	}

	h := byHand(t, f, request("GET", "/", nil, 0), 0)
	for _, c := range [][2]uint64{{0, 0}, {4, 4}, {1, 5}, {0xfffffff8, 5}} {
		if got, err := h.call("enable_features", int(c[0])); got != c[1] || err != nil {
			t.Errorf("enabling %#x: %d are, %v; want %d", c[0], got, err, c[1])
		}
	}
	h.next(&origin{})
	if got, err := h.call("enable_features", 7); got != 5 || err != nil {
		t.Errorf("it is too late for buffer_response: %d, %v", got, err)
	}
}

// Changes to framing are ignored, and the other changes arrive in their order.
func TestChanges(t *testing.T) {
	f, o := load(t, "hello", Config{}), &origin{}
	x := request("GET", "/a?b", nil, 0, "A", "1", "a", "2")
	h := byHand(t, f, x, trailers|bufferResponse)
	do := func(name string, args ...any) {
		t.Helper()
		if _, err := h.call(name, args...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "TE"} {
		for kind := range 4 {
			do("set_header_value", kind, name, "1")
			do("add_header_value", kind, strings.ToLower(name), "2")
			do("remove_header", kind, name)
		}
	}
	do("set_method", "PATCH")
	do("set_uri", "/c")
	do("set_header_value", 0, "Host", "other.test")
	do("remove_header", 0, "host") // there always is one
	do("add_header_value", 0, "a", "3")
	do("set_header_value", 0, "b", "4")
	do("set_header_value", 2, "t", "5")
	do("write_body", 0, "con")
	do("write_body", 0, "tent")
	do("set_header_value", 1, "early", "6")
	do("add_header_value", 1, "server", "7")
	do("add_header_value", 3, "u", "8")
	if text, _ := h.get(100, "get_uri"); text != "/c" {
		t.Errorf("the URI is %q", text)
	}
	if text, _ := h.get(100, "get_header_values", 2, "t"); text != "" {
		t.Errorf("the trailer is %q before the content has ended", text)
	}
	h.next(o)
	if o.method != "PATCH" || o.uri != "/c" || o.host != "other.test" || o.body != "content" || o.trailers.Get("t") != "5" ||
		o.fields.Len() != 4 || strings.Join(slices.Collect(o.fields.Values("A")), "") != "123" || o.fields.Get("B") != "4" {
		t.Errorf("the origin got %+v", o)
	}
	do("add_header_value", 1, "late", "9")
	do("set_status_code", 418)
	do("set_header_value", 3, "u", "10")
	h.g.deliver()
	r := &x.Response
	if got := responseBody(t, x); got != "hello from origin" || r.Status != 418 || r.Fields.Get("early") != "6" ||
		strings.Join(slices.Collect(r.Fields.Values("Server")), "") != "origin7" || r.Fields.Get("Late") != "9" || r.Fields.Len() != 4 {
		t.Errorf("the client got %d %v %q", r.Status, r.Fields, got)
	}
	if u := slices.Collect(r.Trailers.Values("u")); !slices.Equal(u, []string{"10"}) {
		t.Errorf("the trailer is %q", u)
	}
}
