package server

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/edge/config"
)

// pinned returns how the file names a version of a module.
func pinned(name string, version int) string {
	if version == 0 {
		return name
	}
	return name + "@" + strconv.Itoa(version)
}

func matchText(r *config.Route) string {
	if len(r.Match.Methods) == 0 {
		return r.Match.Path
	}
	return strings.Join(r.Match.Methods, ",") + " " + r.Match.Path
}

func whenText(w *config.When) []string {
	var all []string
	for _, of := range []struct {
		what  string
		pairs []config.Pair
	}{{"header", w.Header}, {"query", w.Query}, {"cookie", w.Cookie}} {
		for _, p := range of.pairs {
			all = append(all, of.what+" "+p.Name+": "+p.Shown())
		}
	}
	return all
}

// targetText says where requests of a route go.
func targetText(r *config.Route) string {
	switch {
	case r.Redirect != nil && r.Redirect.Map != "":
		return "redirects of " + r.Redirect.Shown()
	case r.Redirect != nil:
		return fmt.Sprintf("redirect %d to %s", r.Redirect.Status, r.Redirect.Shown())
	case r.Respond != nil:
		return fmt.Sprintf("respond %d", r.Respond.Status)
	case r.Split != nil:
		var arms []string
		for _, a := range r.Split.Arms {
			arms = append(arms, fmt.Sprintf("%s %v%%", a.Name, a.Share))
		}
		return strings.Join(arms, ", ")
	case r.To.Function != "":
		return "function:" + pinned(r.To.Function, r.To.Version)
	}
	return r.To.Upstream
}
