package metrics

import (
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// told returns what a Writer is told of r, a line for each series but those of
// durations.
func told(r *Requests) (lines []string) {
	w := newWriter()
	w.Requests(r, "s", "r")
	for m := range w.families {
		for _, s := range w.families[m].series {
			if descriptions[m].Type == HistogramType {
				lines = append(lines, fmt.Sprintf("%s %s = %d", Metric(m), strings.Join(s.labels, " "), s.count))
			} else {
				lines = append(lines, fmt.Sprintf("%s %s = %g", Metric(m), strings.Join(s.labels, " "), s.value))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

func newWriter() *Writer { return &Writer{limit: 1 << 30, families: new(families)} }

// What is counted of a request, as labels "method code proto".
func TestLabels(t *testing.T) {
	f := func(method, proto string, status int, want string) {
		t.Helper()
		r := NewRequests(time.Now(), WindowConfig{})
		r.Count(time.Now(), &Outcome{Method: method, Proto: proto, Status: status})
		if got := told(r)[3]; got != "sluice_requests_total s r "+want+" = 1" {
			t.Errorf("%s %s %d: got %q, want %q", method, proto, status, got, want)
		}
	}
	f("GET", "HTTP/1.1", 200, "GET 200 h1")
	f("GET", "HTTP/1.0", 200, "GET 200 h1")
	f("HEAD", "HTTP/2.0", 304, "HEAD 304 h2")
	f("POST", "HTTP/3.0", 599, "POST 599 h3")
	f("PUT", "HTTP/1.1", 100, "PUT 100 h1")
	f("DELETE", "HTTP/1.1", 499, "DELETE 499 h1")
	f("CONNECT", "HTTP/2.0", 101, "CONNECT 101 h2")
	f("OPTIONS", "HTTP/1.1", 204, "OPTIONS 204 h1")
	f("TRACE", "HTTP/1.1", 405, "TRACE 405 h1")
	f("PATCH", "HTTP/1.1", 413, "PATCH 413 h1")
	f("get", "HTTP/1.1", 200, "_other 200 h1") // RFC 9110, section 9.1: methods are case-sensitive
	f("BREW", "HTTP/1.1", 418, "_other 418 h1")
	f("", "", 0, "_other _other _other")
	f("GET", "HTTP/1.1", 99, "GET _other h1")
	f("GET", "HTTP/1.1", 600, "GET _other h1")
	f("GET", "HTTP/1.1", -1, "GET _other h1")
	f("GET", "HTTP/1.1", 1<<20+200, "GET _other h1")
	f("GET", "HTTP/9.0", 200, "GET 200 _other")
	f("GET", "http/1.1", 200, "GET 200 _other")
	f(strings.Repeat("A", 1<<20), "HTTP/1.1", 200, "_other 200 h1")
}

// All that a Requests counts.
func TestRequests(t *testing.T) {
	now := time.Now()
	r := NewRequests(now, WindowConfig{})
	if got := told(r); got != nil {
		t.Errorf("without requests: %q", got)
	}
	r.Enter()
	r.Enter()
	if got, want := told(r), "sluice_inflight s r = 2"; !slices.Contains(got, want) {
		t.Errorf("in progress: got %q, want also %q", got, want)
	}
	r.Leave()
	for i := range 10 {
		r.Count(now, &Outcome{Method: "GET", Proto: "HTTP/1.1", Status: 200 + 300*(i%2), Cache: []string{"hit", "miss", "x"}[i%3],
			Duration: time.Duration(i) * time.Second, Received: 3, Sent: 1000, Failed: i%2 == 1})
	}
	r.Count(now, &Outcome{Duration: -1, Received: -1, Sent: -1})
	want := []string{
		"sluice_cache_requests_total s r _other = 3",
		"sluice_cache_requests_total s r hit = 4",
		"sluice_cache_requests_total s r miss = 3",
		"sluice_inflight s r = 1",
		"sluice_request_bytes_total s r = 30",
		"sluice_request_duration_seconds s r = 11",
		"sluice_requests_total s r GET 200 h1 = 5",
		"sluice_requests_total s r GET 500 h1 = 5",
		"sluice_requests_total s r _other _other _other = 1",
		"sluice_response_bytes_total s r = 10000",
	}
	if got := told(r); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got, want := r.Totals(), (Totals{Requests: 11, Errors: 5, Received: 30, Sent: 10000, InFlight: 1}); got != want {
		t.Errorf("totals: got %+v, want %+v", got, want)
	}
	d := r.Durations()
	if d.Count != 11 || d.Sum != 45*time.Second || d.Max != 9*time.Second {
		t.Errorf("durations: %d, %v, %v; want 11, 45s, 9s", d.Count, d.Sum, d.Max)
	}
	l := r.Latest(now.Add(time.Second))
	if l.Durations != d || l.Errors != 5 || l.Rate() != 11 {
		t.Errorf("the last minute: %d requests, %d errors, rate %g; want 11, 5, 11", l.Durations.Count, l.Errors, l.Rate())
	}
	if l := r.Latest(now.Add(time.Minute)); l.Durations.Count != 0 {
		t.Errorf("a minute later: %d requests", l.Durations.Count)
	}
	for result, want := range map[string]uint64{"hit": 4, "miss": 3, "stale": 0, "y": 3} {
		if got := r.Cache(result); got != want {
			t.Errorf("cache %s: got %d, want %d", result, got, want)
		}
	}
}

// Every combination is counted apart, and what else clients and origins think of
// makes no more of them.
func TestAllCombinations(t *testing.T) {
	r := NewRequests(time.Now(), WindowConfig{})
	all := append(slices.Clone(methods[1:]), "X1", "X2")
	for range 2 {
		for _, method := range all {
			for status := minStatus - 2; status <= maxStatus+2; status++ {
				for _, proto := range []string{"HTTP/1.0", "HTTP/1.1", "HTTP/2.0", "HTTP/3.0", "HTTP/4.0"} {
					r.Count(time.Now(), &Outcome{Method: method, Status: status, Proto: proto})
				}
			}
		}
	}
	list := r.outcomes.list()
	if want := 10 * 501 * 4; len(list) != want {
		t.Errorf("%d combinations, want %d", len(list), want)
	}
	seen := make(map[string]bool)
	for _, c := range list {
		want := uint64(2)
		if c.key.method() == Other {
			want *= 2 // two of them
		}
		if c.key.code() == Other {
			want *= 4
		}
		if c.key.proto() == "h1" {
			want *= 2
		}
		name := c.key.method() + c.key.code() + c.key.proto()
		if got := c.n.Load(); got != want || seen[name] {
			t.Fatalf("%s: got %d, want %d; seen before: %v", name, got, want, seen[name])
		}
		seen[name] = true
	}
	if got, want := r.Totals().Requests, uint64(2*11*504*5); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// A method that the table knows has the label of the same name.
func TestMethods(t *testing.T) {
	for i, m := range methods[1:] {
		if got := methods[methodOf(m)]; got != m {
			t.Errorf("method %d: got %s, want %s", i, got, m)
		}
	}
	if len(methods) != 10 || methodOf(http.MethodPatch) != 9 {
		t.Error("the methods are others than this test thinks")
	}
}

func TestRequestsConcurrent(t *testing.T) {
	const goroutines, each = 8, 3000
	start := time.Now()
	r := NewRequests(start, WindowConfig{Slots: 3600, Slot: time.Millisecond})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range each {
				r.Enter()
				o := Outcome{Method: methods[i%10], Status: minStatus + i%500, Proto: "HTTP/2.0", Cache: "hit",
					Duration: time.Duration(i) * time.Microsecond, Received: 1, Sent: int64(i), Failed: i%3 == 0}
				r.Count(start.Add(time.Duration(i)*time.Millisecond), &o)
				r.Leave()
				if i%100 == 0 {
					told(r)
				}
			}
		})
	}
	wg.Wait()
	const n = goroutines * each
	if got, want := r.Totals(), (Totals{n, n / 3, n, goroutines * each * (each - 1) / 2, 0}); got != want {
		t.Errorf("totals: got %+v, want %+v", got, want)
	}
	if got := r.Cache("hit"); got != n {
		t.Errorf("cache hits: got %d, want %d", got, n)
	}
	for _, c := range r.outcomes.list() {
		if got := c.n.Load(); got != n/500 { // 500 is a multiple of 10
			t.Errorf("%s %s: got %d, want %d", c.key.method(), c.key.code(), got, n/500)
		}
	}
	l, d := r.Latest(start.Add(each*time.Millisecond)), r.Durations()
	if d.Count != n || l.Durations != d || l.Errors != n/3 {
		t.Errorf("the window has %d of %d requests, and %d errors; want %d, %d", l.Durations.Count, d.Count, l.Errors, n, n/3)
	}
}

func TestCountAllocates(t *testing.T) {
	now := time.Now()
	r := NewRequests(now, WindowConfig{})
	list := make([]Outcome, 100)
	for i := range list {
		list[i] = Outcome{Method: methods[i%10], Status: 200 + i, Proto: "HTTP/1.1", Cache: "hit", Duration: time.Duration(i) * time.Millisecond, Failed: true}
		r.Count(now, &list[i])
	}
	i := 0
	n := testing.AllocsPerRun(1000, func() {
		r.Enter()
		r.Count(now, &list[i%len(list)])
		r.Leave()
		i++
	})
	if n != 0 {
		t.Errorf("allocates %v times a request, want 0", n)
	}
}

// Ten thousand routes without traffic take some megabytes, and are nothing to show.
func TestWithoutTraffic(t *testing.T) {
	const n = 10000
	var before, after runtime.MemStats
	routes := make([]*Requests, n)
	now := time.Now()
	runtime.ReadMemStats(&before)
	for i := range routes {
		routes[i] = NewRequests(now, WindowConfig{})
	}
	runtime.ReadMemStats(&after)
	if got := (after.TotalAlloc - before.TotalAlloc) / n; got > 512 {
		t.Errorf("a route without traffic takes %d bytes", got)
	}
	w := newWriter()
	for i, r := range routes {
		w.Requests(r, "site", strconv.Itoa(i))
	}
	if len(w.families[RequestsTotal].series)+len(w.families[InFlight].series) > 0 {
		t.Error("routes without traffic are shown")
	}
	if size := unsafe.Sizeof(counter{}); size != 64 {
		t.Errorf("a counter has %d bytes, not those of a cache line", size)
	}
}
