package proxywasm

import (
	"encoding/binary"
	"log/slog"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// What host functions return of maps, by kind, before and after there is a response.
func TestMapStatuses(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	x := request1("POST", "/", nil, 0)
	defer x.End()
	x.Request.Fields.Add("X-A", "b")
	x.Respond(200, nil, 0)
	x.Response.Fields.Add("X-A", "b")
	s, v := enterHost(t, f, x)
	copy(v.in.Read(2048, 100), "x-a\x00x-n\x00value")
	list := listOf(edge.Field{Name: "x-b", Value: "c"})
	copy(v.in.Read(4096, 100), list)
	const get, size, pairs = "proxy_get_header_map_value", "proxy_get_header_map_size", "proxy_get_header_map_pairs"
	const set, add, del, all = "proxy_replace_header_map_value", "proxy_add_header_map_value", "proxy_remove_header_map_value", "proxy_set_header_map_pairs"
	args := map[string][]uint64{
		get: {0, 2048, 3, 1024, 1028}, "missing": {0, 2052, 3, 1024, 1028}, size: {0, 1024}, pairs: {0, 1024, 1028},
		set: {0, 2048, 3, 2056, 5}, add: {0, 2048, 3, 2056, 5}, del: {0, 2048, 3}, all: {0, 4096, uint64(len(list))},
	}
	is := func(name string, kind uint64, want status) {
		t.Helper()
		a := append([]uint64(nil), args[name]...)
		a[0] = kind
		function := name
		if name == "missing" {
			function = get
		}
		if st := callHost(v, function, a...); st != want {
			t.Errorf("%s of map %d: status %d, not %d", name, kind, st, want)
		}
	}
	for kind := range uint64(8) {
		want := notFound // the response's, calls', and trailers
		if kind == 0 {
			want = statusOK
		}
		is(get, kind, want)
		is("missing", kind, notFound)
		is(size, kind, statusOK)
		is(pairs, kind, statusOK)
		want = badArgument
		if kind == 0 {
			want = statusOK
		}
		for _, change := range []string{add, set, del, all} {
			is(change, kind, want)
		}
	}
	s.answered = true
	is("missing", 2, notFound)
	for _, change := range []string{add, set, del, all} {
		is(change, 2, statusOK)
	}
	s.settled[ofRequest], s.settled[ofResponse] = true, true // they are on their way
	before := x.Request.Fields.Clone()
	for _, change := range []string{add, set, del, all} {
		is(change, 0, statusOK)
		is(change, 2, statusOK)
	}
	if before.Len() != x.Request.Fields.Len() {
		t.Errorf("%v has become %v", before, x.Request.Fields)
	}
	for name := range args {
		is(name, 8, badArgument)
		is(name, 1<<32-1, badArgument)
	}
	v.only, v.current, v.leads = nil, nil, true // in the root context there are none
	is(get, 0, notFound)
	is(pairs, 0, statusOK)
	is(set, 0, badArgument)
	v.only = s
}

// The size of a map is that of its list of pairs.
func TestMapSize(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	_, v := enterHost(t, f, x)
	word := func(at uint32) uint32 { return binary.LittleEndian.Uint32(v.in.Read(at, 4)) }
	for kind, none := range map[uint64]bool{0: false, 1: true, 2: true, 6: true} {
		callHost(v, "proxy_get_header_map_size", kind, 1024)
		size := word(1024)
		callHost(v, "proxy_get_header_map_pairs", kind, 1024, 1028)
		if got := word(1028); got != size || none != (size == 4) {
			t.Errorf("map %d: %d bytes, and %d are said", kind, got, size)
		}
	}
}

// An empty list may be no bytes, a count of 0, or one byte that is 0.
func TestEmptyPairs(t *testing.T) {
	for in, want := range map[string]bool{"": true, "\x00": true, "\x00\x00\x00\x00": true, "\x01": false, "\x00\x00": false, "\x00\x00\x00": false, "\x01\x00\x00\x00": false} {
		if list, ok := parsePairs([]byte(in)); ok != want || list.n != 0 {
			t.Errorf("%q: %d pairs, %v", in, list.n, ok)
		}
	}
}

func TestContinueStatuses(t *testing.T) {
	f := loadGuestIn(t, "-", Config{})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	s, v := enterHost(t, f, x)
	for kind, want := range map[uint64]status{0: statusOK, 1: statusOK, 2: unimplemented, 3: unimplemented, 4: badArgument, 1 << 31: badArgument} {
		if st := callHost(v, "proxy_continue_stream", kind); st != want {
			t.Errorf("stream %d goes on: status %d", kind, st)
		}
	}
	for kind, want := range map[uint64]status{2: badArgument, 3: badArgument, 4: badArgument, 1 << 31: badArgument} {
		if st := callHost(v, "proxy_close_stream", kind); st != want || s.closed {
			t.Errorf("stream %d is closed: status %d", kind, st)
		}
	}
	for _, id := range []uint64{0, 6, 8, 1 << 31} {
		if st := callHost(v, "proxy_set_effective_context", id); st != badArgument {
			t.Errorf("context %d: status %d", id, st)
		}
	}
	for _, id := range []uint64{rootID, 7} {
		if st := callHost(v, "proxy_set_effective_context", id); st != statusOK {
			t.Errorf("context %d: status %d", id, st)
		}
	}
	if st := callHost(v, "proxy_close_stream", 1); st != statusOK || !s.closed {
		t.Errorf("a response is closed: status %d", st)
	}
}

// Trailers may be added at the end of content that has none, whether it is at hand or
// not.
func TestAddedTrailers(t *testing.T) {
	f := loadGuestIn(t, "t", Config{})
	for _, body := range []edge.Body{edge.Content([]byte("content")), &streamed{pieces: []string{"con", "tent"}}} {
		o := &origin{}
		if r := exchange(f, o, request1("POST", "/", body, 7)); r.err != nil || o.body != "content" || o.trailers.Get("x-end") != "added" || o.length != -1 {
			t.Errorf("%q of %d bytes, trailers %v, %v", o.body, o.length, o.trailers, r.err)
		}
	}
}

// The number of fields that a guest is told is that of the lines of their map.
func TestFieldCounts(t *testing.T) {
	f := loadGuestIn(t, "c", Config{})
	x := request1("POST", "/", edge.Content([]byte("content")), 7)
	x.Request.Fields.Add("X-A", "b")
	x.Request.Fields.Add("X-A", "c")
	o := &origin{}
	if r := exchange(f, o, x); r.err != nil || o.fields.Get("x-count") != "00000007" { // three, content-length among them, and four of the request's
		t.Errorf("%v, %v", o.fields, r.err)
	}
}

// Standard output is logged at the level info, and standard error at error.
func TestOutputs(t *testing.T) {
	var logged strings.Builder
	f := loadGuestIn(t, "-", Config{Log: slog.New(slog.NewTextHandler(&logged, nil))})
	x := request1("GET", "/", nil, 0)
	defer x.End()
	_, v := enterHost(t, f, x)
	v.print(outputs, []byte("to out"))
	v.print(errs, []byte("to err\nmore"))
	v.print(outputs, []byte("put\n"))
	v.flush()
	for _, want := range []string{`level=INFO msg="filter says" filter=test version=0 text="to output"`,
		`level=ERROR msg="filter says" filter=test version=0 text="to err"`, `level=ERROR msg="filter says" filter=test version=0 text=more`} {
		if !strings.Contains(logged.String(), want) {
			t.Errorf("%s lacks %s", &logged, want)
		}
	}
}
