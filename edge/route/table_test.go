package route

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// parse reads an entry: "POST,PUT /path ?query=v :field=v @cookie=v". Its value is
// the line.
func parse(line string) Entry[string] {
	e := Entry[string]{Value: line}
	for word := range strings.FieldsSeq(line) {
		name, value, _ := strings.Cut(word[1:], "=")
		switch word[0] {
		case '/':
			e.Path = word
		case '?':
			e.Query = append(e.Query, Condition{Name: name, Value: value})
		case ':':
			e.Header = append(e.Header, Condition{Name: name, Value: value})
		case '@':
			e.Cookie = append(e.Cookie, Condition{Name: name, Value: value})
		default:
			e.Methods = strings.Split(word, ",")
		}
	}
	return e
}

func entries(lines ...string) []Entry[string] {
	list := make([]Entry[string], len(lines))
	for i, l := range lines {
		list[i] = parse(l)
	}
	return list
}

func mustNew(t testing.TB, lines ...string) *Table[string] {
	t.Helper()
	table, problems := New(entries(lines...))
	for _, p := range problems {
		t.Fatal(p)
	}
	return table
}

// get returns a request: "POST ?a=b :field=v @cookie=v". The default is GET.
func get(line string) *edge.Request {
	r := &edge.Request{Method: "GET"}
	for word := range strings.FieldsSeq(line) {
		switch word[0] {
		case '?':
			r.Query = word[1:]
		case ':':
			name, value, _ := strings.Cut(word[1:], "=")
			r.Fields.Add(name, value)
		case '@':
			r.Fields.Add("Cookie", word[1:])
		default:
			r.Method = word
		}
	}
	return r
}

// Every order of the entries gives the same answers.
func TestLookup(t *testing.T) {
	lines := []string{
		"/",
		"/shop/*",
		"/shop/cart",
		"/shop/cart/",
		"/users/{id}",
		"/users/{id}/posts/{post}",
		"/users/{id}/*",
		"/users/me",
		"/files/{path...}",
		"POST /login",
		"/x/{a}/literal",
		"/x/known/{b}",
		"/x/known/*",
		"POST /x/known/only",
		"/caf%C3%A9",
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 20 {
		table := mustNew(t, lines...)
		check := func(request, path, want, captured string) {
			t.Helper()
			var caps Captures
			got, ok := table.Lookup(get(request), path, &caps)
			if !ok {
				got = "none"
			}
			var list []string
			for i := range caps.Len() {
				name, value := caps.At(i)
				list = append(list, name+"="+value)
			}
			if got != want || strings.Join(list, " ") != captured {
				t.Errorf("%s %s: got %q with %q, want %q with %q", request, path, got, list, want, captured)
			}
		}
		check("", "/", "/", "")
		check("", "/anything/else", "/", "")
		check("", "/shop", "/", "") // a prefix is what is below
		check("", "/shop/", "/shop/*", "1=")
		check("", "/shop/a/b", "/shop/*", "1=a/b")
		check("", "/shop//b", "/shop/*", "1=/b")
		check("", "/shop/cart", "/shop/cart", "")
		check("", "/shop/cart/", "/shop/cart/", "")
		check("", "/shop/cart/x", "/shop/*", "1=cart/x")
		check("", "/shopping", "/", "")
		check("", "/users/7", "/users/{id}", "id=7")
		check("", "/users/me", "/users/me", "")
		check("", "/users/", "/", "") // {id} is not empty
		check("", "/users//posts/1", "/", "")
		check("", "/users/7/posts/8", "/users/{id}/posts/{post}", "id=7 post=8")
		check("", "/users/7/posts/", "/users/{id}/*", "id=7 1=posts/")
		check("", "/users/me/x", "/users/{id}/*", "id=me 1=x") // the literal leads nowhere
		check("", "/files/", "/files/{path...}", "path=")
		check("", "/files/a/b", "/files/{path...}", "path=a/b")
		check("POST", "/login", "POST /login", "")
		check("GET", "/login", "/", "") // conditions fail: the less specific
		check("", "/x/known/literal", "/x/known/{b}", "b=literal")
		check("", "/x/other/literal", "/x/{a}/literal", "a=other")
		check("", "/x/known/a/b", "/x/known/*", "1=a/b")
		check("POST", "/x/known/only", "POST /x/known/only", "")
		check("PUT", "/x/known/only", "/x/known/{b}", "b=only")
		check("", "/caf\u00e9", "/caf%C3%A9", "")
		check("", "*", "/", "")
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	}
	none := mustNew(t, "/a", "POST /b")
	var caps Captures
	for _, path := range []string{"/", "/b", "/a/", "*"} {
		mustNew(t, "/{x...}").Lookup(get(""), "/left/over", &caps)
		if got, ok := none.Lookup(get(""), path, &caps); ok || caps.Len() != 0 {
			t.Errorf("%s: got %q", path, got)
		}
	}
}

func TestMaxCaptures(t *testing.T) {
	table := mustNew(t, "/", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/x", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/*")
	check := func(path, want, last string) {
		t.Helper()
		var caps Captures
		got, _ := table.Lookup(get(""), path, &caps)
		value := ""
		if n := caps.Len(); n > 0 {
			_, value = caps.At(n - 1)
		}
		if got != want || value != last {
			t.Errorf("%s: got %q, the last %q, want %q, %q", path, got, value, want, last)
		}
	}
	check("/1/2/3/4/5/6/7/8", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}", "8")
	check("/1/2/3/4/5/6/7/8/x", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/x", "8")
	check("/1/2/3/4/5/6/7/8/9", "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/*", "8/9")
	check("/1/2/3/4/5/6//8/9", "/", "")
}

func TestConditions(t *testing.T) {
	table := mustNew(t,
		"/a",
		"GET,PUT /a",
		"/a :X-Beta=1",
		"GET /a :X-Beta=1",
		"/a @plan=pro",
		"/a ?v=2",
		"/a ?v=3",
		"/a :X-Beta=1 ?v=2 @plan=pro",
		"HEAD /h", "GET /h",
		"GET /g", "/g",
		"/q ?a+b=c", "/e ?empty=",
	)
	check := func(request, path, want string) {
		t.Helper()
		if got, _ := table.Lookup(get(request), path, nil); got != want {
			t.Errorf("%s %s: got %q, want %q", request, path, got, want)
		}
	}
	check("DELETE", "/a", "/a")
	check("PUT", "/a", "GET,PUT /a")
	check("put", "/a", "/a") // methods are case-sensitive
	check("DELETE :x-beta=1", "/a", "/a :X-Beta=1")
	check("DELETE :x-beta=2", "/a", "/a")
	check("DELETE :x-beta=1 :x-beta=1", "/a", "/a") // that is "1, 1"
	check("GET :x-beta=1", "/a", "GET /a :X-Beta=1")
	check("PUT :x-beta=1", "/a", "GET,PUT /a") // as many conditions: the method goes first
	check("DELETE @plan=pro", "/a", "/a @plan=pro")
	check("DELETE @plan=free;plan=pro", "/a", "/a") // the first counts
	check("DELETE @plan=pro ?v=2", "/a", "/a ?v=2") // as many: a parameter goes first
	check("DELETE ?x=1&v=3&v=2", "/a", "/a ?v=3")
	check("DELETE ?x=1&%76=%32", "/a", "/a ?v=2")
	check("DELETE ?v=2%", "/a", "/a")
	check("DELETE ?v=22", "/a", "/a")
	check("DELETE ?v", "/a", "/a")
	check("GET :X-Beta=1 ?v=2 @plan=pro", "/a", "/a :X-Beta=1 ?v=2 @plan=pro")
	check("HEAD", "/h", "HEAD /h")
	check("GET", "/h", "GET /h")
	check("HEAD", "/g", "GET /g")
	check("POST", "/g", "/g")
	check("?empty", "/e", "/e ?empty=")
	check("?empty=1", "/e", "")
	check("", "/e", "")
	check("?a%2Bb=c", "/q", "/q ?a+b=c")
	check("?a+b=c", "/q", "")     // that is a space
	check("?a%252Bb=c", "/q", "") // decoded once
}

func TestDecodesTo(t *testing.T) {
	check := func(s, want string, ok bool) {
		t.Helper()
		if got := decodesTo(s, want); got != ok {
			t.Errorf("decodesTo(%q, %q) = %v", s, want, got)
		}
	}
	check("", "", true)
	check("a+b%20c", "a b c", true)
	check("%C3%a9", "\u00e9", true)
	check("a", "ab", false)
	check("ab", "a", false)
	check("%4", "@", false)
	check("%", "%", false)
	check("%25", "%", true)
}

func TestProblems(t *testing.T) {
	check := func(want string, lines ...string) {
		t.Helper()
		table, problems := New(entries(lines...))
		var got []string
		for _, p := range problems {
			got = append(got, fmt.Sprintf("%d %d %s", p.Entry, p.Other, p.Error()))
		}
		if table != nil || !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q: got %q, want %q", lines, got, want)
		}
	}
	// Ties name both entries.
	check(`1 0 "/a" and "/a" are equally specific and can match the same request`, "/a", "/a")
	check(`2 1 "/u/{a}" and "/u/{b}" are`, "/", "/u/{a}", "/u/{b}")
	check(`1 0 "/u/*" and "/u/{b...}" are`, "/u/*", "/u/{b...}")
	check(`1 0 "/" and "/*" are`, "/", "/*")
	check(`1 0 "GET,POST /a" and "POST,PUT /a" are`, "GET,POST /a", "POST,PUT /a")
	check(`1 0 "/a" with 1 more condition and "/a" with 1 more condition are`, "/a :X=1", "/a :Y=1")
	check(`1 0 "/a" with 2 more conditions and`, "/a :X=1 ?v=1", "/a :x=1 ?w=1")
	check(`1 0 "/caf%C3%A9" and "/caf%c3%a9" are`, "/caf%C3%A9", "/caf%c3%a9")
	// All are listed.
	check("1 0 \"/a\" and \"/a\" are equally specific and can match the same request\n3 2 ", "/a", "/a", "/b", "/b")

	check(`does not begin with /`, "GET")
	check(`"*" is no name`, "/{*}")
	check(`goes on after *`, "/a/*/b")
	check(`goes on after {p...}`, "/a/{p...}/b")
	check(`stand for whole segments`, "/a/b*")
	check(`stand for whole segments`, "/a/b{id}")
	check(`stand for whole segments`, "/a/{id}b")
	check(`"" is no name`, "/a/{}")
	check(`"" is no name`, "/a/{...}")
	check(`"1" is no name`, "/a/{1}")
	check(`"a-b" is no name`, "/a/{a-b}")
	check(`{id} comes twice`, "/{id}/{id}")
	check(`{host} has a meaning of its own`, "/{host}")
	check(`captures more than 8`, "/{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/*")
	check(`malformed percent-encoding`, "/100%")
	check(`NUL`, "/%00")
	check(`"." is not a name`, "/a/./b")
	check(`climbs above`, "/a/..")
	check(`servers read "a%2Fb" differently`, "/a%2Fb")
	check(`servers read "a\\b" differently`, `/a\b`)
	check(`has a query`, "/a?b=c")
	check(`"G(T" is not a method`, "G(T /a")
	check(`method GET comes twice`, "GET,GET /a")
	check(`is not the name of a field`, "/a :X:Y=1")
	check(`is not the name of a cookie`, "/a @a;b=1")
	check(`two conditions on the field "x"`, "/a :X=1 :x=2")
	check(`two conditions on the parameter "v"`, "/a ?v=1 ?v=2")

	// These are no ties.
	mustNew(t, "/a :X=1", "/a :X=2", "/a :X=2 ?v=1", "/a ?v=1", "/a ?v=2", "/a @c=1", "/a @c=2", "GET /a", "POST /a", "HEAD /a", "/a", "/a/", "/a/*", "/{a}", "/")
}

// naive is the rule as it is written: of all entries that match, the most
// specific.
func naive(list []Entry[string], req *edge.Request, path string) string {
	best, bestRank := "", []int(nil)
	for _, e := range list {
		rank, ok := naiveMatch(&e, req, path)
		if ok && (bestRank == nil || slices.Compare(rank, bestRank) < 0) {
			best, bestRank = e.Value, rank
		}
	}
	return best
}

// naiveMatch returns whether e matches, and how specific it is: a number a
// segment, then numbers of conditions; less is more specific.
func naiveMatch(e *Entry[string], req *edge.Request, path string) (rank []int, ok bool) {
	pattern := strings.Split(e.Path[1:], "/")
	if e.Path == "/" {
		pattern = []string{"*"}
	}
	have := strings.Split(path[1:], "/")
	for i, p := range pattern {
		switch {
		case p == "*" || strings.HasSuffix(p, "...}"):
			if i >= len(have) {
				return nil, false
			}
			rank = append(rank, 3)
			have = have[:i+1]
		case i >= len(have):
			return nil, false
		case strings.HasPrefix(p, "{"):
			if have[i] == "" {
				return nil, false
			}
			rank = append(rank, 2)
		case p != have[i]:
			return nil, false
		default:
			rank = append(rank, 1)
		}
	}
	if len(have) != len(pattern) {
		return nil, false
	}
	implied := 0
	if len(e.Methods) > 0 && !slices.Contains(e.Methods, req.Method) {
		if req.Method != "HEAD" || !slices.Contains(e.Methods, "GET") {
			return nil, false
		}
		implied = 1
	}
	for _, c := range e.Header {
		if got := slices.Collect(req.Fields.Values(c.Name)); !slices.Equal(got, []string{c.Value}) {
			return nil, false
		}
	}
	for _, c := range e.Query {
		if !slices.Contains(strings.Split(req.Query, "&"), c.Name+"="+c.Value) {
			return nil, false
		}
	}
	m, h, q := min(len(e.Methods), 1), len(e.Header), len(e.Query)
	return append(rank, -m-h-q, -m, -h, -q, implied), true
}

func TestAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	one := func(of ...string) string { return of[r.IntN(len(of))] }
	found := 0
	for range 400 {
		var list []Entry[string]
		for range 1 + r.IntN(40) {
			line := ""
			for range r.IntN(5) {
				line += "/" + one("a", "b", "c", "", "{}")
			}
			for i := 0; strings.Contains(line, "{}"); i++ {
				line = strings.Replace(line, "{}", "{n"+strconv.Itoa(i)+"}", 1)
			}
			line += one("", "", "/*", "/{p...}")
			if line == "" {
				line = "/"
			}
			line = one("", "", "GET ", "HEAD ", "POST ", "GET,POST ") + line + one("", "", " :x=1", " :x=2", " :y=1") + one("", "", " ?q=1", " ?q=2")
			// What the table refuses is left out.
			if more := append(slices.Clone(list), parse(line)); accepted(more) {
				list = more
			}
		}
		table, problems := New(list)
		if problems != nil {
			t.Fatal(problems)
		}
		for range 200 {
			path := ""
			for range 1 + r.IntN(5) {
				path += "/" + one("a", "b", "c", "", "d")
			}
			line := one("GET", "HEAD", "POST") + one("", " :x=1", " :X=2", " :x=1 :x=1", " :y=1", " :x=1 :y=1") + one("", " ?q=1", " ?z=&q=2")
			var caps Captures
			got, ok := table.Lookup(get(line), path, &caps)
			want := naive(list, get(line), path)
			if got != want || ok != (want != "") {
				t.Fatalf("%s %s: got %q, want %q, of %q", line, path, got, want, list)
			}
			if ok {
				found++
				// Captures put into the pattern make the path.
				made := parse(got).Path
				for i := range caps.Len() {
					name, value := caps.At(i)
					made = strings.NewReplacer("{"+name+"}", value, "{"+name+"...}", value).Replace(made)
					if name == "1" {
						made = strings.TrimSuffix(made, "*") + value
					}
				}
				if made != path && parse(got).Path != "/" {
					t.Fatalf("%s by %q: captures %v make %s", path, got, caps, made)
				}
			}
		}
	}
	if found < 10_000 {
		t.Errorf("only %d requests matched anything", found)
	}
}

func accepted(list []Entry[string]) bool {
	_, problems := New(list)
	return problems == nil
}

func TestLookupAllocs(t *testing.T) {
	table := mustNew(t, "/", "/users/{id}/posts/*", "POST /a :x=1 ?q=1 @c=1")
	check := func(request, path, want string) {
		t.Helper()
		req := get(request)
		if n := testing.AllocsPerRun(100, func() {
			var caps Captures
			if got, _ := table.Lookup(req, path, &caps); got != want {
				t.Fatalf("%s: got %q, want %q", path, got, want)
			}
			table.Lookup(req, path, nil)
			p, err := Canonical(path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := table.LookupPath(req, p, &caps); got != want || err != nil {
				t.Fatalf("%s: got %q, %v, want %q", path, got, err, want)
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations, want 0", path, n)
		}
	}
	check("", "/nothing", "/")
	check("", "/users/5/posts/a/b", "/users/{id}/posts/*")
	check("POST :x=1 ?p=0&q=%31 @b=0;c=1", "/a", "POST /a :x=1 ?q=1 @c=1")
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{10, 100, 1000, 10_000} {
		lines := []string{"/", "/users/{id}/*"}
		for i := range n / 5 {
			s := strconv.Itoa(i)
			lines = append(lines, "/service"+s+"/*", "/service"+s+"/v1/items/{id}", "/service"+s+"/v1/items", "POST /service"+s+"/v1/items", "/page"+s)
		}
		table := mustNew(b, lines...)
		last := strconv.Itoa(n/5 - 1)
		for name, path := range map[string]string{
			"exact":  "/page" + last,
			"prefix": "/service" + last + "/static/app.js",
			"name":   "/service" + last + "/v1/items/4711",
			"other":  "/no/such/thing",
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				req, caps := get(""), new(Captures)
				b.ReportAllocs()
				for b.Loop() {
					if _, ok := table.Lookup(req, path, caps); !ok {
						b.Fatal("not found")
					}
				}
			})
		}
	}
}

func BenchmarkCanonical(b *testing.B) {
	for name, path := range map[string]string{"clean": "/assets/css/main.9f8e7d.css", "encoded": "/assets/caf%C3%A9/./menu.html"} {
		b.Run(name, func(b *testing.B) {
			scratch := make([]byte, 0, len(path))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Canonical(path, scratch); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
