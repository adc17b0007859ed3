package metrics

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

// outcome is a request as most are.
func outcome() Outcome {
	return Outcome{Method: "GET", Proto: "HTTP/1.1", Status: 200, Cache: "miss", Duration: 3 * time.Millisecond, Received: 0, Sent: 1024}
}

func BenchmarkObserve(b *testing.B) {
	var h Histogram
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			h.Observe(time.Duration(i&0xfffff) * time.Microsecond)
		}
	})
}

// All requests are to one route: processors take turns at its counters.
func BenchmarkCountOne(b *testing.B) {
	now := time.Now()
	r := NewRequests(now, WindowConfig{})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		o := outcome()
		for i := 0; pb.Next(); i++ {
			r.Enter()
			o.Duration = time.Duration(i&0xffff) * time.Microsecond
			r.Count(now, &o)
			r.Leave()
		}
	})
}

// Each processor has requests to a route of its own.
func BenchmarkCountEach(b *testing.B) {
	now := time.Now()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		r := NewRequests(now, WindowConfig{})
		o := outcome()
		for i := 0; pb.Next(); i++ {
			r.Enter()
			o.Duration = time.Duration(i&0xffff) * time.Microsecond
			r.Count(now, &o)
			r.Leave()
		}
	})
}

func BenchmarkLatest(b *testing.B) {
	now := time.Now()
	r := NewRequests(now, WindowConfig{})
	o := outcome()
	for i := range 6 {
		r.Count(now.Add(time.Duration(i)*10*time.Second), &o)
	}
	now = now.Add(50 * time.Second)
	for b.Loop() {
		if l := r.Latest(now); l.Durations.Quantile(.99) == 0 {
			b.Fatal("empty")
		}
	}
}

// A scrape of many routes with traffic, as text.
func BenchmarkScrape(b *testing.B) {
	for _, n := range []int{100, 10000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			now := time.Now()
			routes := make([]*Requests, n)
			for i := range routes {
				routes[i] = NewRequests(now, WindowConfig{})
				o := outcome()
				routes[i].Count(now, &o)
			}
			h := Handler(func(w *Writer) {
				for i, r := range routes {
					w.Requests(r, "site", strconv.Itoa(i))
				}
			}, Config{})
			b.ReportAllocs()
			for b.Loop() {
				rec := httptest.NewRecorder()
				h.ServeHTTP(discard{rec}, httptest.NewRequest("GET", "/metrics", nil))
				if rec.Code != 200 {
					b.Fatal(rec.Code)
				}
			}
		})
	}
}

// discard is a response without memory of what was written.
type discard struct{ http.ResponseWriter }

func (discard) Write(b []byte) (int, error) { return io.Discard.Write(b) }
