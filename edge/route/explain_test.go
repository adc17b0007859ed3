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

// explained is what Explain says, with entries by their lines.
func explained(t *testing.T, lines []string, request, path string) (winner string, others, near []string, err error) {
	t.Helper()
	p, err := Canonical(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	i, lost, err := mustNew(t, lines...).Explain(get(request), p)
	winner = "none"
	if i >= 0 {
		winner = lines[i]
	}
	for _, l := range lost {
		s := lines[l.Entry] + ": " + l.Why
		if l.Near {
			near = append(near, s)
		} else {
			others = append(others, s)
		}
	}
	return winner, others, near, err
}

func TestExplain(t *testing.T) {
	check := func(lines, request, path, want string, whys ...string) {
		t.Helper()
		winner, others, near, err := explained(t, strings.Split(lines, "|"), request, path)
		if err != nil {
			t.Errorf("%s %s: %v", request, path, err)
		}
		if winner != want {
			t.Errorf("%s %s: got %s, want %s", request, path, winner, want)
		}
		if len(near) != 0 {
			t.Errorf("%s %s: near %q", request, path, near)
		}
		if !slices.Equal(others, whys) {
			t.Errorf("%s %s: others are\n%s\nwant\n%s", request, path, strings.Join(others, "\n"), strings.Join(whys, "\n"))
		}
	}
	check("/|/api/{id}|/api/me|/api/*", "", "/api/me", "/api/me",
		"/api/{id}: the path /api/{id} is less specific than /api/me",
		"/api/*: the path /api/* is less specific than /api/me",
		"/: the path / is less specific than /api/me")
	check("/|POST /api/me|/api/{id...}", "", "/api/me", "/api/{id...}",
		"POST /api/me: wants method POST, the request's is GET",
		"/: the path / is less specific than /api/{id...}")
	check("/|POST,PUT /", "DELETE", "/x", "/", "POST,PUT /: wants method POST or PUT, the request's is DELETE")
	check("/|/ :x-beta=1", "", "/x", "/", "/ :x-beta=1: wants field x-beta: 1, the request has none")
	check("/|/ :x-beta=1", ":X-Beta=2", "/x", "/", "/ :x-beta=1: wants field x-beta: 1, the request has 2")
	check("/|/ :x-beta=1", ":X-Beta=1 :X-Beta=1", "/x", "/", "/ :x-beta=1: wants field x-beta: 1, the request has it 2 times, which matches nothing")
	check("/|/ ?v=2", "?v=1&v=2", "/x", "/", "/ ?v=2: wants query v=2, the request has 1")
	check("/|/ ?v=2", "?v", "/x", "/", `/ ?v=2: wants query v=2, the request has ""`)
	check("/|/ @plan=pro", "", "/x", "/", "/ @plan=pro: wants cookie plan=pro, the request has none")
	check("/|/ @plan=pro", "@plan=secret", "/x", "/", "/ @plan=pro: wants cookie plan=pro, the request has another")
	check("/|POST / ?v=2 @a=b", "", "/x", "/", "POST / ?v=2 @a=b: wants method POST, the request's is GET; query v=2, the request has none; cookie a=b, the request has none")
	// Of one path.
	check("/a|/a ?v=2|/a ?v=2 @b=c|GET /a|/a :d=e", "?v=2 @b=c :d=e", "/a", "/a ?v=2 @b=c",
		"GET /a: of the same path, the other has more conditions, which hold: 2, and not 1",
		"/a :d=e: of the same path, the other has more conditions, which hold: 2, and not 1",
		"/a ?v=2: of the same path, the other has more conditions, which hold: 2, and not 1",
		"/a: of the same path, the other has conditions, which hold")
	check("/a ?v=2|/a :d=e", "?v=2 :d=e", "/a", "/a :d=e",
		"/a ?v=2: of the same path and as many conditions: methods go before fields, these before parameters of the query, and these before cookies")
	check("HEAD /a|GET /a", "HEAD", "/a", "HEAD /a", "GET /a: of the same path, the other names HEAD, and this one has it by GET")
	check("/|/x/{a}/{b}/y|/x/{a}/b/*", "", "/x/a/b/y", "/x/{a}/b/*",
		"/x/{a}/{b}/y: the path /x/{a}/{b}/y is less specific than /x/{a}/b/*", "/: the path / is less specific than /x/{a}/b/*")
	check("/a|/", "", "*", "/")
	check("/a|POST /b", "", "/c", "none")
}

func TestExplainNear(t *testing.T) {
	check := func(lines, path string, want ...string) {
		t.Helper()
		_, _, near, err := explained(t, strings.Split(lines, "|"), "", path)
		if err != nil {
			near = append(near, "refused")
		}
		if !slices.Equal(near, want) {
			t.Errorf("%s: near are\n%s\nwant\n%s", path, strings.Join(near, "\n"), strings.Join(want, "\n"))
		}
	}
	check("/|/api/users|/api/*", "/api/user", "/api/users: its path /api/users is one letter away")
	check("/|/api/users", "/api/uesrs", "/api/users: its path /api/users is one letter away")
	check("/|/static/*", "/statik/a/b", "/static/*: its path /static/* is one letter away")
	check("/|/static/*", "/stotik/a/b")
	check("/static/a/*", "/statik/b/c")
	check("/users/{id}/posts", "/users/7/post", "/users/{id}/posts: its path /users/{id}/posts is one letter away")
	check("/API/Users|/api/other", "/api/users", "/API/Users: its path /API/Users is written in another case")
	check("/a|/b", "/c")
	check("/x", "/x/", "/x: its path /x has no slash at the end")
	check("/x/", "/x", "/x/: its path /x/ has a slash at the end")
	check("/|/x/*", "/x", "/x/*: its path /x/* is what is below, and not the place itself")
	check("/x/*|/x|/x/", "/x", "/x/*: its path /x/* is what is below, and not the place itself", "/x/: its path /x/ has a slash at the end")
	check("/|/caf\u00e9", "/caf%25C3%25A9", "/caf\u00e9: its path /caf\u00e9 matches /caf\u00e9, which the request's is in another encoding")
	check("/|/a/b", "/a%2Fb", "/a/b: its path /a/b matches /a/b, which the request's is in another encoding", "refused")
	check("/a/b", "/a//b", "/a/b: its path /a/b matches /a/b, which the request's is in another encoding", "refused")
	check("/|/abc", "*")
	var many []string
	for i := range 26 {
		many = append(many, fmt.Sprintf("/abc%c", 'A'+i))
	}
	_, _, near, _ := explained(t, many, "", "/abc")
	if len(near) != maxNear || !strings.HasPrefix(near[0], "/abcA:") || !strings.HasPrefix(near[9], "/abcJ:") {
		t.Errorf("%d are near: %q", len(near), near)
	}
}

// What is ambiguous has no winner, as for LookupPath, and is told who would have
// been.
func TestExplainAmbiguous(t *testing.T) {
	winner, others, _, err := explained(t, []string{"/", "/a/*", "POST /a/*"}, "", "/a/..;/b")
	want := []string{
		"POST /a/*: wants method POST, the request's is GET",
		"/a/*: the path matches, and leads elsewhere where it is read differently",
		"/: the path / is less specific than /a/*",
	}
	if err == nil || winner != "none" || !slices.Equal(others, want) {
		t.Errorf("got %s, %q, %v", winner, others, err)
	}
}

// randomEntries returns entries of a table, no two of which are tied.
func randomEntries(r *rand.Rand) []Entry[int] {
	var list []Entry[int]
	for i := range 1 + r.IntN(25) {
		e := Entry[int]{Value: i}
		for range r.IntN(4) {
			e.Path += "/" + []string{"a", "b", "abc", "abd", "ABC", "", "{x}"}[r.IntN(7)]
		}
		for n := 1; strings.Contains(e.Path, "{x}"); n++ {
			e.Path = strings.Replace(e.Path, "{x}", "{x"+strconv.Itoa(n)+"}", 1)
		}
		switch r.IntN(4) {
		case 0:
			e.Path += "/*"
		case 1:
			e.Path += "/{rest...}"
		case 2:
			e.Path += "/"
		}
		if e.Path == "" {
			e.Path = "/"
		}
		if r.IntN(3) == 0 {
			e.Methods = [][]string{{"GET"}, {"POST"}, {"HEAD", "PUT"}, {"HEAD"}}[r.IntN(4)]
		}
		condition := func() []Condition {
			if r.IntN(4) != 0 {
				return nil
			}
			return []Condition{{Name: "n", Value: strconv.Itoa(r.IntN(2))}}
		}
		e.Header, e.Query, e.Cookie = condition(), condition(), condition()
		list = append(list, e)
	}
	for {
		_, problems := New(list)
		if problems == nil {
			return list
		}
		list = slices.Delete(list, problems[0].Entry, problems[0].Entry+1)
	}
}

func randomRequest(r *rand.Rand) *edge.Request {
	req := &edge.Request{Method: []string{"GET", "POST", "HEAD", "PUT"}[r.IntN(4)]}
	if r.IntN(2) == 0 {
		req.Fields.Add("N", strconv.Itoa(r.IntN(2)))
	}
	if r.IntN(2) == 0 {
		req.Query = "n=" + strconv.Itoa(r.IntN(2))
	}
	if r.IntN(2) == 0 {
		req.Fields.Add("Cookie", "n="+strconv.Itoa(r.IntN(2)))
	}
	return req
}

// Explain and LookupPath never disagree, and the others are told in their order:
// without the winner the next that holds wins.
func TestExplainAgrees(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	won, refused, near := 0, 0, 0
	for range 20_000 {
		list := randomEntries(r)
		table, _ := New(list)
		req := randomRequest(r)
		p, err := Canonical(randomPath(r, []string{"a", "b", "abc", "abd", "ABC", "c", "", "..", "%61", "a%2Fb", "..;x", "a%2561"}), nil)
		if err != nil {
			continue
		}
		value, ok, wantErr := table.LookupPath(req, p, nil)
		winner, others, err := table.Explain(req, p)
		if err != wantErr || (winner >= 0) != ok || ok && list[winner].Value != value {
			t.Fatalf("%v: Explain says %d, %v, LookupPath %v, %v, %v", p, winner, err, value, ok, wantErr)
		}
		if again, more, _ := table.Explain(req, p); again != winner || !slices.Equal(more, others) {
			t.Fatalf("%v: %v, and then %v", p, others, more)
		}
		told := map[int]bool{}
		var turns []int // those whose conditions hold, in their turn
		for _, l := range others {
			if told[l.Entry] || l.Entry == winner || l.Why == "" {
				t.Fatalf("%v: %v is told twice, or wins, or has no reason", p, l)
			}
			told[l.Entry] = true
			bare := Entry[int]{Path: list[l.Entry].Path}
			if matches(bare, req, p) == l.Near {
				t.Fatalf("%v: %q: %+v", p, bare.Path, l)
			}
			if l.Near {
				near++
				continue
			}
			if holds := matches(list[l.Entry], req, p); holds != !strings.HasPrefix(l.Why, "wants ") {
				t.Fatalf("%v: %+v: %+v", p, list[l.Entry], l)
			} else if holds {
				turns = append(turns, l.Entry)
			}
		}
		for i, e := range list {
			if i != winner && !told[i] && matches(Entry[int]{Path: e.Path}, req, p) {
				t.Fatalf("%v: nothing is said of %q", p, e.Path)
			}
		}
		if err != nil {
			refused++
			continue
		}
		if winner < 0 {
			continue
		}
		won++
		rest := slices.Clone(list)
		for i, gone := range append([]int{winner}, turns...) {
			rest = slices.DeleteFunc(rest, func(e Entry[int]) bool { return e.Value == list[gone].Value })
			fewer, _ := New(rest)
			next, ok := fewer.Lookup(req, p.String(), nil)
			if want := i < len(turns); ok != want || ok && next != list[turns[i]].Value {
				t.Fatalf("%v: after %d comes %v, %v; %v were told", p, gone, next, ok, turns)
			}
		}
	}
	if won < 5000 || refused < 500 || near < 1000 {
		t.Errorf("%d won, %d refused, %d near: too few to show anything", won, refused, near)
	}
}

func matches(e Entry[int], req *edge.Request, p Path) bool {
	table, _ := New([]Entry[int]{e})
	_, ok := table.Lookup(req, p.String(), nil)
	return ok
}

func TestOneEdit(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"abc", "abc", false}, {"abc", "abd", true}, {"abc", "ab", true}, {"abc", "bc", true}, {"abc", "axbc", true},
		{"abc", "acb", true}, {"abc", "bca", false}, {"abc", "a", false}, {"", "", false}, {"", "a", true}, {"abcd", "badc", false},
	} {
		if got, back := oneEdit(c.a, c.b), oneEdit(c.b, c.a); got != c.want || back != c.want {
			t.Errorf("%q %q: %v and %v, want %v", c.a, c.b, got, back, c.want)
		}
	}
}

func TestHostsExplain(t *testing.T) {
	hosts, problems := hostTable("example.com", "*.example.com", "*.api.example.com", "shop.example.org", "www.other.test", "[::1]")
	if problems != nil {
		t.Fatal(problems)
	}
	check := func(authority, want string, wantNear ...string) {
		t.Helper()
		got, near := hosts.Explain(authority)
		if got != want || !slices.Equal(near, wantNear) {
			t.Errorf("%q: got %q, %q, want %q, %q", authority, got, near, want, wantNear)
		}
	}
	check("EXAMPLE.com.:80", "example.com", "*.example.com")
	check("a.example.com", "*.example.com")
	check("a.b.api.example.com", "*.api.example.com")
	check("shop.exmaple.org", "", "shop.example.org")
	check("other.test", "", "www.other.test")
	check("www.shop.example.org:8080", "", "shop.example.org")
	check("a.exampl.com", "", "*.example.com")
	check("[::1]:80", "[::1]")
	check("nothing.test", "")
	check("", "")
	check(strings.Repeat("a", 10_000), "")
	all, _ := hostTable("*", "example.com")
	if got, near := all.Explain("example.co"); got != "*" || !slices.Equal(near, []string{"example.com"}) {
		t.Errorf("got %q, %q", got, near)
	}
}
