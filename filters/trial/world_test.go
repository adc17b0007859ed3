package trial

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters"
	"github.com/sluice-edge/sluice/filters/function"
)

func worldOf(t *testing.T, cfg WorldConfig) *World {
	t.Helper()
	w, err := NewWorld(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(w.dir); w.dir != "" && !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", w.dir, err)
		}
	})
	return w
}

// A filter has keys, which last from trial to trial, upstreams and secrets; and what it
// does with them is told.
func TestWorld(t *testing.T) {
	w := worldOf(t, WorldConfig{
		Keys:      map[string]map[string][]byte{"hits": {"n": []byte("41")}},
		Upstreams: map[string]edge.Handler{"api": answers(t, `{"GET /fetched?x=1": [{"body": "one"}, {"error": "connection_refused"}]}`)},
		Secrets:   map[string]string{"key": "hunter2"},
	})
	g := filterOf(t, "sluice-filter", filters.Config{Host: w.Host()}, Config{World: w})
	check := func(want ...string) {
		t.Helper()
		got := told(t, try(t, g, get("http://example.org/")))
		for _, s := range want {
			if !strings.Contains(got, s) {
				t.Errorf("got\n%s\nwant %s", got, s)
			}
		}
	}
	check(`"x-hits" "do":"added" "to":"42"`, `"x-secret" "do":"added" "to":"hunter2"`, `"x-fetched" "do":"added" "to":"200 one"`,
		`{"in":"kv" "what":"key" "hits/n" "do":"set" "from":"41" "to":"42"}`,
		`"fetches":[{"upstream":"api" "method":"GET" "uri":"/fetched?x=1" "status":200}]`)
	check(`"from":"42" "to":"43"`, `"fetches":[{"upstream":"api" "method":"GET" "uri":"/fetched?x=1" "error":"connection_refused"}]`)

	// What it is not allowed is told with the line that allows it.
	w = worldOf(t, WorldConfig{})
	g = filterOf(t, "keeper", filters.Config{Host: w.Host()}, Config{World: w})
	check(`"status":230`, `"missing":["allow: { kv: [\"counts\"] }"]`)
	w = worldOf(t, WorldConfig{})
	g = functionOf(t, "sluice-command", function.Config{Host: w.Host()}, Config{World: w})
	check(`"verdict":"failed"`, `"missing":["allow: { kv: [\"hits\"] }"]`)
	w = worldOf(t, WorldConfig{Keys: map[string]map[string][]byte{"hits": nil}})
	g = functionOf(t, "sluice-command", function.Config{Host: w.Host()}, Config{World: w})
	check(`"changes":[{"in":"kv" "what":"key" "hits/n" "do":"added" "to":"1"}]`)
}

func TestNewWorld(t *testing.T) {
	bad := func(namespace, key, value, want string) {
		t.Helper()
		w, err := NewWorld(WorldConfig{Keys: map[string]map[string][]byte{namespace: {key: []byte(value)}}})
		if err == nil {
			w.Close()
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q/%q: %v, want %q", namespace, key, err, want)
		}
	}
	bad("a b", "k", "v", `namespace "a b"`)
	bad("a", "", "v", "the key is empty")
	bad("a", "k", strings.Repeat("x", 2<<20), "a/k")
}

func TestKeyChange(t *testing.T) {
	begun := time.Unix(1000, 0)
	check := func(from, to kv.Entry, want string) {
		t.Helper()
		c, ok := keyChange("a/b", from, to, begun)
		got := ""
		if ok {
			got = strings.Join([]string{c.Do, c.From, c.To, time.Duration(c.TTL * 1e6).String()}, "|")
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	one := kv.Entry{Value: []byte("1"), Version: 1}
	check(one, one, "")
	check(kv.Entry{}, one, "added||1|0s")
	check(one, kv.Entry{}, "removed|1||0s")
	check(one, kv.Entry{Value: []byte("1"), Version: 2}, "set|1|1|0s") // written anew
	check(one, kv.Entry{Value: nil, Version: 2}, `set|1|""|0s`)
	check(one, kv.Entry{Value: []byte{0xff}, Version: 2}, "set|1|(1 bytes, no text)|0s")
	check(one, kv.Entry{Value: []byte(strings.Repeat("é", 200)), Version: 2, Expires: begun.Add(time.Minute)}, "set|1|"+strings.Repeat("é", 100)+"... (400 bytes)|1m0s")
	check(kv.Entry{}, kv.Entry{Version: 1, Expires: begun.Add(-time.Hour)}, `added||""|0s`) // it has expired meanwhile
}
