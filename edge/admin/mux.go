package admin

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/diag"
)

// mux leads requests to what serves them, and refuses what nothing does: a path, a
// method of it, a parameter.
type mux struct {
	*http.ServeMux
	methods map[string][]string // by path
}

func newMux() *mux { return &mux{http.NewServeMux(), make(map[string][]string)} }

// handle has a method of a path served, such as "GET /v1/kv/{namespace}". It takes
// these parameters and no others; a write takes dry_run besides.
func (m *mux) handle(pattern string, h http.HandlerFunc, parameters ...string) {
	method, path, _ := strings.Cut(pattern, " ")
	if m.methods[path] = append(m.methods[path], method); method == http.MethodGet {
		m.methods[path] = append(m.methods[path], http.MethodHead)
	} else {
		parameters = append(parameters, "dry_run")
	}
	m.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		if p := checkQuery(r, pattern, parameters); p != nil {
			problem(w, *p)
			return
		}
		h(w, r)
	})
}

// close refuses the methods that paths do not have, and paths that there are not.
func (m *mux) close() {
	for path, methods := range maps.All(m.methods) {
		slices.Sort(methods)
		m.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			// RFC 9110, section 15.5.6: with the methods that there are.
			w.Header().Set("Allow", strings.Join(methods, ", "))
			if r.Method == http.MethodOptions { // RFC 9110, section 9.3.7
				w.WriteHeader(http.StatusNoContent)
				return
			}
			problem(w, api.Problem{Title: "no such method", Status: http.StatusMethodNotAllowed, Detail: fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path), Hint: "there is " + strings.Join(methods, ", ")})
		})
	}
	m.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		problem(w, api.Problem{Title: "no such resource", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no %s %s", r.Method, r.URL.Path)})
	})
}

// checkQuery says what is wrong with the parameters of a request: a word that is
// misspelt would else be as if it were not there, and a dry run would be none.
func checkQuery(r *http.Request, pattern string, parameters []string) *api.Problem {
	bad := func(hint, format string, args ...any) *api.Problem {
		return &api.Problem{Title: "wrong parameter", Status: http.StatusBadRequest, Detail: fmt.Sprintf(format, args...), Hint: hint}
	}
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("write & as %26, % as %25 and a space as %20 in a value", "the query is malformed: %v", err)
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		switch {
		case !slices.Contains(parameters, name):
			return bad(diag.DidYouMean(name, parameters), "%s takes no %q%s", pattern, name, diag.Have(parameters))
		case len(q[name]) > 1:
			return bad("", "%q is there twice", name)
		}
	}
	switch q.Get("dry_run") {
	case "", "0", "1", "no", "yes", "false", "true":
		return nil
	}
	return bad("write 1, or leave it out", "dry_run=%s is neither yes nor no", q.Get("dry_run"))
}

// dryRun reports whether a write is to be checked only.
func dryRun(r *http.Request) bool {
	switch r.URL.Query().Get("dry_run") {
	case "1", "yes", "true":
		return true
	}
	return false
}

// changeOf returns how something is to be changed.
func changeOf(r *http.Request) api.Change {
	return api.Change{DryRun: dryRun(r), IfMatch: strings.Trim(r.Header.Get("If-Match"), `"`)}
}
