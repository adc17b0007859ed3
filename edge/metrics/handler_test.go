package metrics

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// everything tells of every metric.
func everything(w *Writer) {
	now := time.Now()
	r := NewRequests(now, WindowConfig{})
	r.Enter()
	r.Count(now, &Outcome{Method: "GET", Proto: "HTTP/1.1", Status: 200, Cache: "hit", Duration: 3 * time.Millisecond, Received: 5, Sent: 7})
	r.Count(now, &Outcome{Method: "GET", Proto: "HTTP/2.0", Status: 502, Duration: time.Minute})
	w.Requests(r, "shop", "/a/*")
	h := r.Durations()
	for m, d := range Descriptions() {
		labels := make([]string, len(d.Labels))
		for i, l := range d.Labels {
			labels[i] = "of " + l.Name
		}
		switch d.Type {
		case CounterType:
			w.Counter(Metric(m), 3, labels...)
		case GaugeType:
			w.Gauge(Metric(m), 2, labels...)
		case HistogramType:
			w.Histogram(Metric(m), &h, labels...)
		}
	}
}

// The library's own checks of names, types and help.
func TestLint(t *testing.T) {
	g := newGatherer(everything, Config{}.withDefaults())
	problems, err := testutil.GatherAndLint(g)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sluice_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// serve returns a server of the metrics. It has 10 s, since a test shall fail and
// not hang.
func serve(t *testing.T, source Source, cfg Config) *http.Client {
	s := httptest.NewServer(Handler(source, cfg))
	t.Cleanup(s.Close)
	c := s.Client()
	c.Timeout = 10 * time.Second
	c.Transport = to{s.URL, c.Transport}
	return c
}

// to sends every request to one server.
type to struct {
	url string
	http.RoundTripper
}

func (t to) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = strings.TrimPrefix(t.url, "http://")
	return t.RoundTripper.RoundTrip(r)
}

func get(t *testing.T, c *http.Client, fields ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequest("GET", "http://example.org/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		r.Header.Set(fields[i], fields[i+1])
	}
	resp, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// lines returns the lines of sluice in a scrape as text.
func lines(t *testing.T, body io.Reader, prefix string) (list []string) {
	t.Helper()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasPrefix(line, prefix) {
			list = append(list, strings.TrimSuffix(line, "\n"))
		}
	}
	return list
}

func TestText(t *testing.T) {
	c := serve(t, func(w *Writer) {
		r := NewRequests(time.Now(), WindowConfig{})
		r.Count(time.Now(), &Outcome{Method: "GET", Proto: "HTTP/3.0", Status: 404, Duration: 30 * time.Millisecond, Received: 1, Sent: 2})
		w.Requests(r, "b", "/")
		w.Requests(r, "a", "/\"\\\n\xff")
	}, Config{Build: Build{"v1.2.3", "abc", "go1.26"}})
	resp := get(t, c)
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || !strings.HasPrefix(got, "text/plain; version=0.0.4") {
		t.Errorf("answered %d, %s", resp.StatusCode, got)
	}
	var want []string
	add := func(format string, args ...any) { want = append(want, fmt.Sprintf(format, args...)) }
	names := []string{`route="/",site="b"`, `route="/\"\\\n` + "\uFFFD" + `",site="a"`}
	add(`sluice_build_info{goversion="go1.26",revision="abc",version="v1.2.3"} 1`)
	for _, n := range names {
		add(`sluice_inflight{%s} 0`, n)
	}
	for _, n := range names {
		add(`sluice_request_bytes_total{%s} 1`, n)
	}
	for _, n := range names {
		for i, b := range strings.Fields("0.001 0.0025 0.005 0.01 0.025 0.05 0.1 0.25 0.5 1 2.5 5 10 +Inf") {
			add(`sluice_request_duration_seconds_bucket{%s,le="%s"} %d`, n, b, min(i/5, 1))
		}
		add(`sluice_request_duration_seconds_sum{%s} 0.03`, n)
		add(`sluice_request_duration_seconds_count{%s} 1`, n)
	}
	for _, n := range names {
		add(`sluice_requests_total{code="404",method="GET",proto="h3",%s} 1`, n)
	}
	for _, n := range names {
		add(`sluice_response_bytes_total{%s} 2`, n)
	}
	if got := lines(t, resp.Body, "sluice_"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	text := strings.Join(lines(t, get(t, c).Body, ""), "\n")
	for _, want := range []string{
		"\n# HELP sluice_requests_total Requests that have ended.\n# TYPE sluice_requests_total counter\n",
		"\n# TYPE sluice_request_duration_seconds histogram\n", "\n# TYPE sluice_inflight gauge\n", "\ngo_goroutines ", "\ngo_info{",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if runtime.GOOS == "linux" && !strings.Contains(text, "\nprocess_resident_memory_bytes ") {
		t.Error("nothing of the process")
	}
}

// Two scrapes of the same figures are the same.
func TestOrder(t *testing.T) {
	c := serve(t, everything, Config{})
	want := lines(t, get(t, c).Body, "sluice_")
	for range 5 {
		if got := lines(t, get(t, c).Body, "sluice_"); !slices.Equal(got, want) {
			t.Fatalf("got\n%s\nafter\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// All metrics, as protobuf.
func TestProtobuf(t *testing.T) {
	c := serve(t, everything, Config{})
	resp := get(t, c, "Accept", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	d := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	got := make(map[string]*dto.MetricFamily)
	for {
		var f dto.MetricFamily
		if err := d.Decode(&f); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		got[f.GetName()] = &f
	}
	types := map[Type]dto.MetricType{CounterType: dto.MetricType_COUNTER, GaugeType: dto.MetricType_GAUGE, HistogramType: dto.MetricType_HISTOGRAM}
	for _, d := range Descriptions() {
		f := got[d.Name]
		if f == nil {
			t.Errorf("no %s", d.Name)
			continue
		}
		if f.GetType() != types[d.Type] || f.GetHelp() != d.Help || len(f.Metric[0].Label) != len(d.Labels) {
			t.Errorf("%s is a %s, %q, with labels %v", d.Name, f.GetType(), f.GetHelp(), f.Metric[0].Label)
		}
	}
	h := got["sluice_request_duration_seconds"].GetMetric()[0].GetHistogram()
	if h.GetSampleCount() != 2 || h.GetSampleSum() != 60.003 || len(h.Bucket) != len(Bounds)-fineBounds || h.Bucket[1].GetCumulativeCount() != 0 || h.Bucket[2].GetCumulativeCount() != 1 {
		t.Errorf("the histogram is %v", h)
	}
	// What modules take is told apart below a millisecond.
	fine := got["sluice_filter_duration_seconds"].GetMetric()[0].GetHistogram()
	if len(fine.Bucket) != len(Bounds) || fine.Bucket[0].GetUpperBound() != 10e-6 || fine.Bucket[5].GetUpperBound() != 0.5e-3 {
		t.Errorf("the histogram is %v", fine)
	}
}

func TestCompressed(t *testing.T) {
	resp := get(t, serve(t, everything, Config{}), "Accept-Encoding", "gzip")
	if got := resp.Header.Get("Content-Encoding"); got != "gzip" {
		t.Fatalf("encoded %q", got)
	}
	z, err := gzip.NewReader(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := lines(t, z, "sluice_cache_bytes"); !slices.Equal(got, []string{"sluice_cache_bytes 2"}) {
		t.Errorf("got %q", got)
	}
}

// A scrape shows as many series as Config.Series says, and the sum of all. Which
// ones does not change when the source tells of them in another order.
func TestSeries(t *testing.T) {
	const n = 200
	var scrape atomic.Int64
	c := serve(t, func(w *Writer) {
		first := int(scrape.Add(1)) * 30
		for i := range n {
			w.Counter(SplitRequests, 1, "s", fmt.Sprint((first+i)%n), "a")
		}
	}, Config{Series: 20})
	var before []string
	for range 3 {
		got := lines(t, get(t, c).Body, "sluice_split")
		if want := `sluice_split_requests_total{arm="_other",route="_other",site="_other"} 180`; len(got) != 21 || got[0] != want {
			t.Errorf("%d series, the first %s; want 21, %s", len(got), got[0], want)
		}
		if before != nil && !slices.Equal(got, before) {
			t.Errorf("got %q after %q", got, before)
		}
		before = got
	}
	if c := (Config{}).withDefaults(); c.Series != 10000 || c.Scrapes != 8 {
		t.Errorf("defaults are %+v", c)
	}
}

// While as many scrapes are answered as may be, others are refused.
func TestScrapes(t *testing.T) {
	began, goOn := make(chan struct{}), make(chan struct{})
	var once sync.Once
	c := serve(t, func(w *Writer) {
		once.Do(func() { close(began); <-goOn })
	}, Config{Scrapes: 1})
	release := sync.OnceFunc(func() { close(goOn) })
	t.Cleanup(release)
	first := make(chan int, 1)
	go func() {
		resp, err := c.Get("http://example.org/metrics")
		if err != nil {
			first <- 0
			return
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		first <- resp.StatusCode
	}()
	<-began
	if got := get(t, c).StatusCode; got != 503 {
		t.Errorf("the second scrape: got %d, want 503", got)
	}
	release()
	if got := <-first; got != 200 {
		t.Errorf("the first scrape: got %d, want 200", got)
	}
	// Its place is free once its handler has returned, which may be after the client
	// has read all.
	for range 1000 {
		if resp := get(t, c); resp.StatusCode == 200 {
			return
		}
		runtime.Gosched()
	}
	t.Error("no scrape is answered any more")
}

// A bug in a source costs the scrape, which says so, and only the log says why.
func TestBugInSource(t *testing.T) {
	var log bytes.Buffer
	bug := true
	h := Handler(func(w *Writer) {
		if bug {
			panic("BUG: hush")
		}
	}, Config{Log: slog.New(slog.NewTextHandler(&log, nil))})
	scrape := func() (int, string) {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
		return rec.Code, rec.Body.String()
	}
	if code, text := scrape(); code != 500 || !strings.Contains(text, "the log has the cause") || strings.Contains(text, "hush") {
		t.Errorf("answered %d, %q", code, text)
	}
	if !strings.Contains(log.String(), "cannot gather metrics") || !strings.Contains(log.String(), "BUG: hush") {
		t.Errorf("the log says %q", &log)
	}
	bug = false
	if code, _ := scrape(); code != 200 {
		t.Errorf("afterwards: answered %d", code)
	}
}

// Scrapes, while requests are counted.
func TestScrapeWhileCounting(t *testing.T) {
	r := NewRequests(time.Now(), WindowConfig{})
	c := serve(t, func(w *Writer) { w.Requests(r, "s", "r") }, Config{Series: 50})
	var wg sync.WaitGroup
	for g := range 2 {
		wg.Go(func() {
			for i := range 20000 {
				r.Count(time.Now(), &Outcome{Method: methods[1+(i+g)%9], Proto: "HTTP/1.1", Status: 200 + i%300, Duration: time.Duration(i) * time.Microsecond})
			}
		})
	}
	var scraping sync.WaitGroup
	for range 2 {
		scraping.Go(func() {
			for range 10 {
				resp, err := c.Get("http://example.org/metrics")
				if err != nil {
					t.Error(err)
					return
				}
				if n := len(lines(t, resp.Body, "sluice_requests_total")); resp.StatusCode != 200 || n > 51 {
					t.Errorf("answered %d with %d series", resp.StatusCode, n)
				}
				resp.Body.Close()
			}
		})
	}
	wg.Wait()
	scraping.Wait()
	total := 0
	for _, line := range lines(t, get(t, c).Body, "sluice_requests_total") {
		var n int
		fmt.Sscan(line[strings.LastIndex(line, " "):], &n)
		total += n
	}
	if total != 40000 {
		t.Errorf("%d requests in all series, want 40000", total)
	}
}
