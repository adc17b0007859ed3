package cache

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

// contentOfVersion returns n bytes that no other key or version has.
func contentOfVersion(key string, version, n int) []byte {
	b := fmt.Appendf(nil, "%s/%d/%d:", key, version, n)
	r := rand.New(rand.NewPCG(uint64(version), uint64(n)))
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b
}

// open serves a request and leaves its exchange open.
func open(t testing.TB, h edge.Handler, path string) *edge.Exchange {
	x := &edge.Exchange{}
	x.Begin(nil, &edge.Client{}, time.Now())
	x.Request = edge.Request{Method: "GET", Scheme: "http", Authority: "h", Path: path}
	if err := h.Serve(x); err != nil {
		t.Error(err)
	}
	return x
}

func read(t testing.TB, x *edge.Exchange) []byte {
	if x.Response.Body == nil {
		return nil
	}
	b, err := io.ReadAll(x.Response.Body)
	if err != nil {
		t.Error(err)
	}
	return b
}

// sizeOf returns a length of content: mostly small, of every class, sometimes of
// many blocks.
func sizeOf(r *rand.Rand) int {
	switch n := r.IntN(100); {
	case n < 5:
		return r.IntN(600_000)
	case n < 30:
		return r.IntN(100_000)
	}
	return 20 + r.IntN(4000)
}

// Random operations on the store and on a model of it, which is a map: a hit is
// what was stored last, and never what was invalidated; what is held in use does
// not change, and the memory stays within its bound.
func TestModel(t *testing.T) {
	steps := 10_000
	if edge.Poisons {
		steps = 4000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	const memory = 8 << 20
	store, err := NewStore(Config{Memory: memory, Entry: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	type kept struct {
		version, size int
	}
	model := map[string]kept{}
	type held struct {
		x    *edge.Exchange
		want []byte
	}
	var readers []held
	version := 0
	origin := edge.HandlerFunc(func(x *edge.Exchange) error {
		key := x.Request.Path
		if x.Request.Method == "POST" {
			x.Respond(204, nil, 0)
			return nil
		}
		version++
		size := sizeOf(rnd)
		b := contentOfVersion(key, version, size)
		model[key] = kept{version, size}
		length := int64(len(b))
		var body edge.Body = &stream{rest: b, step: 1 + rnd.IntN(50_000)}
		switch rnd.IntN(3) {
		case 0:
			length = -1
		case 1:
			body = edge.Content(b)
		}
		x.Respond(200, body, length)
		x.Response.Fields.Add("Cache-Control", "max-age=10000")
		x.Response.Fields.Add("X-Version", strconv.Itoa(version))
		return nil
	})
	stage := edge.Chain(origin, store.Stage(Policy{}))
	hits := 0
	for range steps {
		key := "/" + strconv.Itoa(rnd.IntN(400))
		switch n := rnd.IntN(100); {
		case n < 5:
			x := open(t, edge.HandlerFunc(func(x *edge.Exchange) error {
				x.Request.Method = "POST"
				return stage.Serve(x)
			}), key)
			x.End()
			delete(model, key)
		case n < 10 && len(readers) > 0:
			i := rnd.IntN(len(readers))
			r := readers[i]
			if got := read(t, r.x); !bytes.Equal(got, r.want) {
				t.Fatalf("a reader got %d bytes %.30q, want %d bytes %.30q", len(got), got, len(r.want), r.want)
			}
			r.x.End()
			readers = append(readers[:i], readers[i+1:]...)
		default:
			have, stored := model[key]
			x := open(t, stage, key)
			if x.Record.Cache != "hit" {
				read(t, x)
				x.End()
				break
			}
			hits++
			want := contentOfVersion(key, have.version, have.size)
			if !stored || x.Response.Fields.Get("X-Version") != strconv.Itoa(have.version) {
				t.Fatalf("%s: version %s from the store, want %d (%v)", key, x.Response.Fields.Get("X-Version"), have.version, stored)
			}
			if rnd.IntN(3) == 0 && len(readers) < 20 {
				readers = append(readers, held{x, want})
				break
			}
			if got := read(t, x); !bytes.Equal(got, want) {
				t.Fatalf("%s: %d bytes %.30q, want %d bytes %.30q", key, len(got), got, len(want), want)
			}
			if coding := "c" + strconv.Itoa(rnd.IntN(6)); x.Response.Body != nil {
				h := x.Response.Body.(*hit)
				form, ok := h.Form(coding)
				switch {
				case ok:
					if b, _ := io.ReadAll(form); string(b) != coding+string(want) {
						t.Fatalf("%s: wrong form", key)
					}
				case rnd.IntN(3) == 0:
					h.Keep(coding, append([]byte(coding), want...))
				}
			}
			x.End()
		}
		if s := store.Stats(); s.Taken > memory || s.Bytes > s.Taken {
			t.Fatalf("%+v, more than %d bytes", s, memory)
		}
	}
	s := store.Stats()
	t.Logf("%d hits, %+v", hits, s)
	if hits < steps/10 || s.Evictions == 0 {
		t.Errorf("%d hits and %d evictions show little", hits, s.Evictions)
	}
	store.Close()
	for _, r := range readers {
		if got := read(t, r.x); !bytes.Equal(got, r.want) {
			t.Error("a reader got something else after Close")
		}
		r.x.End()
	}
	if s := store.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("after Close: %+v", s)
	}
}

// Many goroutines store, read, invalidate and evict; content always is what was
// stored under its key.
func TestConcurrent(t *testing.T) {
	steps := 3000
	if edge.Poisons {
		steps = 400
	}
	store, err := NewStore(Config{Memory: minMemory, Entry: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 7))
			n := 0
			stage := edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
				switch {
				case x.Request.Method == "POST":
					x.Respond(204, nil, 0)
					return nil
				case x.Request.Fields.Has("If-None-Match"):
					x.Respond(304, nil, 0)
					return nil
				}
				n++
				b := contentOfVersion(x.Request.Path, n*8+g, sizeOf(rnd))
				x.Respond(200, &stream{rest: b, step: 9000}, int64(len(b)))
				x.Response.Fields.Add("Cache-Control", "max-age=10000")
				x.Response.Fields.Add("ETag", `"x"`)
				return nil
			}), store.Stage(Policy{}))
			for range steps {
				key := "/" + strconv.Itoa(rnd.IntN(300))
				x := open(t, edge.HandlerFunc(func(x *edge.Exchange) error {
					switch rnd.IntN(20) {
					case 0:
						x.Request.Method = "POST"
					case 1:
						x.Request.Fields.Add("Cache-Control", "no-cache")
					}
					return stage.Serve(x)
				}), key)
				b := read(t, x)
				if len(b) > 0 {
					var version, size int
					text, _, _ := strings.Cut(string(b[:min(len(b), 60)]), ":")
					if _, err := fmt.Sscanf(text, key+"/%d/%d", &version, &size); err != nil || !bytes.Equal(b, contentOfVersion(key, version, size)) {
						t.Errorf("%s: %d bytes %.40q", key, len(b), b)
					}
				}
				x.End()
			}
		})
	}
	wg.Wait()
	if s := store.Stats(); s.Evictions == 0 || s.Taken > minMemory {
		t.Errorf("%+v", s)
	}
	store.Close()
	if s := store.Stats(); s.Bytes != 0 || s.Entries != 0 {
		t.Errorf("after Close: %+v", s)
	}
}

// simple returns a stage whose origin makes content of the size that the path
// begins with.
func simple(t testing.TB, memory int64) (edge.Handler, *Store) {
	store, err := NewStore(Config{Memory: memory, Entry: memory / 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return edge.Chain(edge.HandlerFunc(func(x *edge.Exchange) error {
		size, _, _ := strings.Cut(x.Request.Path[1:], "/")
		n, _ := strconv.Atoi(size)
		x.Respond(200, edge.Content(make([]byte, n)), int64(n))
		x.Response.Fields.Add("Cache-Control", "max-age=10000")
		return nil
	}), store.Stage(Policy{})), store
}

// get returns what the cache did.
func get(t testing.TB, h edge.Handler, path string) string {
	x := open(t, h, path)
	defer x.End()
	return x.Record.Cache
}

// The least recently used gives way.
func TestOrderOfEviction(t *testing.T) {
	h, store := simple(t, minMemory)
	n := 0
	for ; store.Stats().Evictions == 0; n++ {
		get(t, h, "/80000/"+strconv.Itoa(n))
		get(t, h, "/80000/0")
	}
	if got := get(t, h, "/80000/0"); got != "hit" {
		t.Errorf("the most recently used: %q", got)
	}
	// Each look at one that is gone stores it, and so removes the next: look at the
	// oldest only.
	if got := get(t, h, "/80000/2"); got != "hit" {
		t.Errorf("the second oldest: %q", got)
	}
	if got := get(t, h, "/80000/1"); got != "miss" {
		t.Errorf("the oldest: %q", got)
	}
	if n < 40 {
		t.Errorf("%d entries of 80,000 bytes in %d bytes", n, minMemory)
	}
}

// Memory that was filled with entries of one size can be had for those of another,
// and an entry in steady use stays through all of it.
func TestChangeOfSizes(t *testing.T) {
	memory, rounds := 16<<20, 3
	if edge.Poisons {
		memory, rounds = minMemory, 1
	}
	h, store := simple(t, int64(memory))
	get(t, h, "/700/steady")
	for round := range rounds {
		for _, size := range []int{300, 80_000, 3000, 400_000, 700} {
			count := 2 * memory / (size + 300)
			for i := range count {
				get(t, h, fmt.Sprintf("/%d/%d/%d", size, round, i))
				if i%64 == 0 || size > 50_000 {
					if got := get(t, h, "/700/steady"); got != "hit" {
						t.Fatalf("round %d, size %d: the entry in steady use: %q", round, size, got)
					}
				}
			}
			// What is there now are the last entries of this size.
			s := store.Stats()
			have := 0
			for i := count - 1; i >= 0 && get(t, h, fmt.Sprintf("/%d/%d/%d", size, round, i)) == "hit"; i-- {
				have++
				get(t, h, "/700/steady")
			}
			use := float64(have*size) / float64(memory)
			t.Logf("round %d, size %6d: %5d entries, %.0f %% content, %+v", round, size, have, use*100, s)
			least := 0.7
			if size < 1000 {
				least = 0.3 // head, record and index count for more
			}
			if use < least || s.Taken > int64(memory) {
				t.Errorf("round %d: %d entries of %d bytes are %.2f of the memory; %+v", round, have, size, use, s)
			}
		}
	}
}

// With all memory in use by readers nothing can be stored, and all goes on.
func TestMemoryInUse(t *testing.T) {
	h, store := simple(t, minMemory)
	var readers []*edge.Exchange
	for i := 0; ; i++ {
		path := "/80000/" + strconv.Itoa(i)
		get(t, h, path)
		x := open(t, h, path)
		readers = append(readers, x)
		if x.Record.Cache == "miss" {
			break
		}
	}
	if s := store.Stats(); s.Taken > minMemory || len(readers) < 40 {
		t.Errorf("%d readers, %+v", len(readers), s)
	}
	for _, x := range readers {
		if b := read(t, x); !bytes.Equal(b, make([]byte, 80_000)) {
			t.Errorf("a reader has something else, %d bytes", len(b))
		}
		x.End()
	}
	get(t, h, "/80000/again")
	if got := get(t, h, "/80000/again"); got != "hit" {
		t.Errorf("afterwards: %q", got)
	}
}

func TestForms(t *testing.T) {
	r := newRig(t, Config{}, Policy{})
	for _, size := range []int{10, 50_000, 200_000} {
		path := "/" + strconv.Itoa(size)
		r.origin(200, strings.Repeat("x", size), fresh)
		r.want("miss", "GET "+path)
		form := bytes.Repeat([]byte("f"), size)
		x := open(t, siteOf(r.stage), path)
		h := x.Response.Body.(*hit)
		if _, ok := h.Form("br"); ok {
			t.Error("a form that nobody has made")
		}
		before := r.store.Stats().Bytes
		h.Keep("br", form)
		h.Keep("br", form[1:]) // there is one
		if grown := r.store.Stats().Bytes - before; grown < int64(size) || grown > int64(size+size/4+1000) {
			t.Errorf("a form of %d bytes takes %d", size, grown)
		}
		for _, name := range []string{"zstd", "gzip", "c4", "c5"} {
			h.Keep(name, []byte(name))
		}
		h.Keep(strings.Repeat("c", maxCoding+1), form)
		x.End()

		x = open(t, siteOf(r.stage), path)
		h = x.Response.Body.(*hit)
		b, ok := h.Form("br")
		if !ok {
			t.Fatal("no form")
		}
		if all := edge.Bytes(b); size < r.store.shards[0].slabs.most-100 && !bytes.Equal(all, form) {
			t.Errorf("%d bytes at hand, want %d", len(all), size)
		}
		var w bytes.Buffer
		if n, err := b.(io.WriterTo).WriteTo(&w); n != int64(size) || err != nil || !bytes.Equal(w.Bytes(), form) {
			t.Errorf("wrote %d of %d bytes, %v", n, size, err)
		}
		if _, ok := h.Form("c5"); ok {
			t.Errorf("more than %d forms", maxForms)
		}
		x.End()
	}
}

// siteOf makes the exchanges of open those of the rig's site.
func siteOf(h edge.Handler) edge.Handler {
	return edge.HandlerFunc(func(x *edge.Exchange) error {
		x.Record.Site = "site"
		return h.Serve(x)
	})
}

func TestClasses(t *testing.T) {
	list := newClasses(maxSlab)
	maxBlock := list[len(list)-1].size
	for i, c := range list {
		if c.size%unit != 0 || c.size*c.per > maxSlab || i > 1 && (c.size <= list[i-1].size || float64(c.size) > 1.4*float64(list[i-1].size)) {
			t.Errorf("class %d: %+v after %+v", i, c, list[max(i-1, 0)])
		}
	}
	if list[1].size != minBlock || maxBlock < 80<<10 {
		t.Errorf("from %d to %d", list[1].size, maxBlock)
	}
	s := slabs{classes: list}
	for n := 0; n <= maxBlock; n++ {
		c := s.classFor(n)
		if list[c].size < n || c > 1 && list[c-1].size >= n {
			t.Fatalf("%d bytes go into blocks of %d", n, list[c].size)
		}
	}
	if c := s.classFor(maxBlock + 1); c != -1 {
		t.Errorf("class %d for too much", c)
	}
}

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		cfg Config
		ok  bool
	}{
		{Config{}, true},
		{Config{Memory: minMemory, Entry: minMemory / 2, Answers: 1}, true},
		{Config{Memory: minMemory - 1}, false},
		{Config{Memory: -1}, false},
		{Config{Memory: maxMemory + 1}, false},
		{Config{Memory: minMemory, Entry: minMemory/2 + 1}, false},
		{Config{Entry: -1}, false},
		{Config{Answers: -1}, false},
	} {
		if err := c.cfg.Validate(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
	if (Policy{TTL: -1}).Validate() == nil || (Policy{}).Validate() != nil {
		t.Error("Policy")
	}
	if _, err := NewStore(Config{Memory: 1}); err == nil {
		t.Error("a store of 1 byte")
	}
}
