package cache

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// explaining makes a rig ask for an explanation of each request before it is
// served, and returns where that is found.
func (r *rig) explaining(p Policy) *Explanation {
	e := new(Explanation)
	stage, behind := r.store.Stage(p), r.stage
	r.stage = edge.HandlerFunc(func(x *edge.Exchange) error {
		before := r.store.Stats()
		*e = stage.Explain(x)
		if got := r.store.Stats(); got != before || x.Record.Cache != "" {
			r.t.Errorf("Explain changed the store from %+v to %+v, the record to %q", before, got, x.Record.Cache)
		}
		return behind.Serve(x)
	})
	return e
}

// Whatever is stored and asked for, and whenever, Filter does what Explain says.
func TestExplainAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		policy := Policy{TTL: 20 * time.Second}
		rig := newRig(t, Config{Memory: minMemory}, policy)
		e := rig.explaining(policy)
		told := map[string]int{}
		pick := func(lines ...string) string { return lines[r.IntN(len(lines))] }
		for n := range 30_000 {
			<-time.After(time.Duration(r.IntN(3000)) * time.Millisecond)
			rig.arm = pick("", "", "a")
			answer := []string{pick("", "ETag: \"1\"", "ETag: \"2\"", "Last-Modified: "+date(-time.Hour))}
			answer = append(answer, pick("", "Cache-Control: max-age=10", "Cache-Control: s-maxage=5", "Cache-Control: no-cache", "Cache-Control: max-age=5, must-revalidate", "Cache-Control: no-store", "Cache-Control: private"))
			answer = append(answer, pick("", "Vary: Accept-Language", "Vary: X-A, Accept-Language", "Vary: *"), pick("", "Age: 3"))
			answer = slices.DeleteFunc(answer, func(l string) bool { return l == "" })
			status, fail, conditional, validators := []int{200, 200, 200, 404, 500}[r.IntN(5)], r.IntN(20) == 0, false, ""
			rig.answer = func(x *edge.Exchange) error {
				validators = x.Request.Fields.Get("If-None-Match") + " " + x.Request.Fields.Get("If-Modified-Since")
				tag := x.Request.Fields.Get("If-None-Match")
				conditional = tag != "" && tag != `"client's"` || x.Request.Fields.Get("If-Modified-Since") != ""
				switch {
				case fail:
					return &edge.Error{Kind: edge.ConnectionRefused, Op: "dial"}
				case conditional && r.IntN(2) == 0:
					x.Respond(304, nil, 0)
					if tag != "" {
						x.Response.Fields.Add("ETag", tag)
					}
				default:
					respond(x, status, "content", answer...)
				}
				return nil
			}
			request := []string{
				pick("", "Accept-Language: de", "Accept-Language: nb"), pick("", "", "X-A: 1"), pick("", "", "", `If-None-Match: "client's"`), pick("", "", "", "", "", `If-Match: "1"`),
				pick("", "", "", "Cache-Control: no-cache", "Cache-Control: no-store", "Cache-Control: max-age=2", "Cache-Control: max-stale=4", "Cache-Control: max-stale",
					"Cache-Control: min-fresh=6", "Cache-Control: only-if-cached", "Cache-Control: max-age=0, max-stale", "Pragma: no-cache"),
			}
			request = slices.DeleteFunc(request, func(l string) bool { return l == "" })
			target := pick("GET", "GET", "GET", "GET", "GET", "HEAD", "POST", "OPTIONS") + " " + pick("/a", "/a?b", "/c")
			asked, stored := rig.asked, rig.store.Stats().Stored
			got := rig.do(target, request...)

			bad := func(format string, args ...any) {
				t.Helper()
				t.Fatalf("request %d, %s %q: explained %+v, got %q, %q: %s", n, target, request, *e, got.cache, got.fields.Get("Cache-Status"), fmt.Sprintf(format, args...))
			}
			told[e.Does]++
			reached := rig.asked > asked
			if reached != e.Asks {
				bad("asked the origin: %v", reached)
			}
			var sent edge.Fields
			for _, l := range request {
				name, value, _ := strings.Cut(l, ": ")
				sent.Add(name, value)
			}
			e.Ask(&sent)
			if want := sent.Get("If-None-Match") + " " + sent.Get("If-Modified-Since"); reached && validators != want {
				bad("the origin got the validators %q, Ask made %q", validators, want)
			}
			if e.Why == "" || !strings.HasPrefix(e.Key, "site http://h/") {
				bad("no reason, or key %q", e.Key)
			}
			if !e.Store && rig.store.Stats().Stored != stored {
				bad("stored")
			}
			if got.err != nil {
				if !reached || e.Does == "hit" || e.Does == "stale" {
					bad("failed with %v", got.err)
				}
				continue
			}
			switch e.Does {
			case "revalidate":
				if got.cache != "revalidated" && got.cache != "miss" || !conditional || !reached {
					bad("asked the origin: %v, whether what is stored still holds: %v", reached, conditional)
				}
				continue
			case "hit", "stale":
				if reached {
					bad("the origin was asked")
				}
				if age := got.fields.Get("Age"); age != strconv.Itoa(int(e.Age/time.Second)) {
					bad("age %s", age)
				}
				if ttl := "sluice; hit; ttl=" + strconv.Itoa(int(e.TTL/time.Second)); got.fields.Get("Cache-Status") != ttl {
					bad("want %s", ttl)
				}
			case "miss":
				if reached == strings.Contains(e.Why, "504") || conditional || !reached && got.status != 504 {
					bad("asked the origin: %v, whether what is stored still holds: %v, status %d", reached, conditional, got.status)
				}
			default:
				if !reached {
					bad("the origin was not asked")
				}
			}
			if got.cache != e.Does {
				bad("they differ")
			}
		}
		for _, does := range []string{"hit", "stale", "miss", "revalidate", "pass", "bypass"} {
			if told[does] < 100 {
				t.Errorf("%q came %d times: too few to show anything", does, told[does])
			}
		}
	})
}

func TestExplain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rig := newRig(t, Config{Memory: minMemory}, Policy{})
		e := rig.explaining(Policy{})
		check := func(request string, want Explanation, lines ...string) {
			t.Helper()
			rig.do(request, lines...)
			if want.Key == "" {
				want.Key = "site http://h/a"
			}
			want.Asks = want.Does != "hit" && want.Does != "stale" && want.Status == 0
			if want.Does == "revalidate" {
				want.tag = `"1"`
			}
			if *e != want {
				t.Errorf("%s %q:\ngot  %+v\nwant %+v", request, lines, *e, want)
			}
		}
		const s = time.Second
		rig.origin(200, "content", "Cache-Control: max-age=60", `ETag: "1"`, "Vary: Accept-Language, X-A")
		check("GET /a", Explanation{Does: "miss", Why: "nothing is stored under the key", Store: true}, "Accept-Language: de")
		<-time.After(10 * s)
		check("GET /a", Explanation{Does: "hit", Why: "what is stored is fresh", Age: 10 * s, TTL: 50 * s}, "Accept-Language: de")
		check("HEAD /a", Explanation{Does: "hit", Why: "what is stored is fresh", Age: 10 * s, TTL: 50 * s}, "Accept-Language: de")
		check("HEAD /a", Explanation{Does: "miss", Why: "what is stored is for other values of Accept-Language, X-A, or for another arm"})
		check("GET /a", Explanation{Does: "revalidate", Why: "the client wants the origin asked (no-cache)", Age: 10 * s, TTL: 50 * s, Store: true}, "Accept-Language: de", "Cache-Control: no-cache")
		<-time.After(10 * s)
		check("GET /a", Explanation{Does: "revalidate", Why: "what is stored is 10s old, more than the client wants (max-age)", Age: 10 * s, TTL: 50 * s, Store: true}, "Accept-Language: de", "Cache-Control: max-age=5")
		<-time.After(10 * s)
		check("GET /a", Explanation{Does: "revalidate", Why: "what is stored is fresh for 50s, less than the client wants (min-fresh)", Age: 10 * s, TTL: 50 * s, Store: true}, "Accept-Language: de", "Cache-Control: min-fresh=55")
		<-time.After(70 * s)
		check("GET /a", Explanation{Does: "stale", Why: "what is stored is stale, and the client allows that (max-stale)", Age: 70 * s, TTL: -10 * s}, "Accept-Language: de", "Cache-Control: max-stale")
		check("GET /a", Explanation{Status: 504, Does: "miss", Why: "what is stored is stale since 10s; it is answered with 504, since the client wants only what is stored (only-if-cached)", Age: 70 * s, TTL: -10 * s}, "Accept-Language: de", "Cache-Control: only-if-cached")
		check("GET /a", Explanation{Does: "bypass", Why: "the client wants nothing stored (no-store)", Age: 70 * s, TTL: -10 * s}, "Accept-Language: de", "Cache-Control: no-store")
		check("GET /a", Explanation{Does: "revalidate", Why: "what is stored is stale since 10s", Age: 70 * s, TTL: -10 * s, Store: true}, "Accept-Language: de")
		check("GET /a", Explanation{Does: "bypass", Why: "If-Match and If-Unmodified-Since are for the origin"}, `If-Match: "1"`)
		check("POST /b?c", Explanation{Key: "site http://h/b?c", Does: "pass", Why: "POST is not answered from a store"})
		rig.arm = "v2"
		rig.origin(200, "content", "Cache-Control: no-cache", `ETag: "1"`)
		check("GET /d", Explanation{Key: "site http://h/d arm v2", Does: "miss", Why: "nothing is stored under the key", Store: true})
		check("GET /d", Explanation{Key: "site http://h/d arm v2", Does: "revalidate", Why: "what is stored is to be validated each time (no-cache)", TTL: 0, Store: true})
		rig.arm = "v3"
		check("GET /d", Explanation{Key: "site http://h/d arm v3", Does: "miss", Why: "what is stored is for another arm", Store: true})
		for _, req := range []edge.Request{{Method: "GET", Upgrade: "websocket"}, {Method: "GET", Body: edge.Content([]byte("x"))}} {
			x := &edge.Exchange{Request: req}
			if got := rig.store.Stage(Policy{}).Explain(x); got.Does != "bypass" || got.Why == "" || got.Store {
				t.Errorf("%+v: %+v", req, got)
			}
		}
	})
}

// What is looked at is no more recent than before: it gives way as if nobody had.
func TestExplainLeavesTheOrder(t *testing.T) {
	rig := newRig(t, Config{Memory: minMemory, Entry: 1 << 20}, Policy{})
	rig.origin(200, strings.Repeat("x", 100<<10), fresh)
	e := rig.explaining(Policy{})
	rig.do("GET /first")
	stage := rig.store.Stage(Policy{})
	first := &edge.Exchange{Request: edge.Request{Method: "GET", Scheme: "http", Authority: "h", Path: "/first"}, Record: edge.Record{Site: "site"}}
	for i := range 200 {
		if does := stage.Explain(first).Does; does != "hit" {
			if i < 10 {
				t.Fatalf("/first is a %s after %d others", does, i)
			}
			return
		}
		rig.do("GET /" + strconv.Itoa(i))
		if e.Does != "miss" {
			t.Fatalf("/%d is a %s", i, e.Does)
		}
	}
	t.Error("/first was never evicted")
}

func TestResultCounts(t *testing.T) {
	rig := newRig(t, Config{}, Policy{})
	want := map[string]int64{}
	do := func(cache, request string, lines ...string) {
		t.Helper()
		rig.want(cache, request, lines...)
		want[cache]++
	}
	rig.origin(200, "content", fresh, `ETag: "1"`)
	do("miss", "GET /a")
	do("hit", "GET /a")
	do("hit", "HEAD /a")
	do("miss", "GET /a", "Cache-Control: no-cache")
	do("bypass", "GET /a", "Cache-Control: no-store, no-cache")
	do("bypass", "GET /a", `If-Match: "1"`)
	do("miss", "GET /b", "Cache-Control: only-if-cached")
	rig.origin(304, "", `ETag: "1"`)
	do("revalidated", "GET /a", "Cache-Control: no-cache")
	rig.origin(200, "content", "Cache-Control: max-age=0", `ETag: "1"`)
	do("miss", "GET /c")
	do("stale", "GET /c", "Cache-Control: max-stale=1000")
	do("pass", "POST /a")
	rig.answer = func(*edge.Exchange) error { return &edge.Error{Kind: edge.ConnectionRefused} }
	rig.do("GET /d")
	want["miss"]++
	st := rig.store.Stats()
	got := map[string]int64{"hit": st.Hits, "stale": st.Stale, "miss": st.Misses, "revalidated": st.Revalidated, "pass": st.Passed, "bypass": st.Bypassed}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
