package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// story is an explanation, as lines of what it is about and what is said of it.
type story struct {
	out *screen
	all bool // tell of every route that does not serve the request
}

const (
	storyIndent = 2
	storyLabel  = 11 // columns of "upstream" and the like, with what is between
)

// line says something, under a label, which may be "".
func (s *story) line(label string, style text.Style, said string) {
	const hang = storyIndent + storyLabel // column of what is said
	room := 0
	if s.out.columns > 0 {
		room = max(20, s.out.columns-hang)
	}
	lead := strings.Repeat(" ", storyIndent) + s.out.paint.In(text.Bold, label) + strings.Repeat(" ", max(1, storyLabel-text.Width(label)))
	for i, l := range text.Wrap(text.Printable(said), room) {
		if i > 0 {
			lead = strings.Repeat(" ", hang)
		}
		s.out.printf("%s\n", strings.TrimRight(lead+s.out.paint.In(style, l), " "))
	}
}

// why says the reason of what was said last.
func (s *story) why(said string) {
	if said != "" {
		s.line("", text.Dim, said)
	}
}

// rows says several things of two parts each under a label, aligned.
func (s *story) rows(label string, style text.Style, rows [][2]string) {
	const most = 32 // columns of the first part, unless one is longer by itself
	wide := 0
	for _, r := range rows {
		if w := text.Width(text.Printable(r[0])); w <= most {
			wide = max(wide, w)
		}
	}
	for i, r := range rows {
		if i > 0 {
			label = ""
		}
		head, said := text.Pad(text.Printable(r[0]), wide), text.Printable(r[1])
		hang := storyIndent + storyLabel + wide + 2
		lead := strings.Repeat(" ", storyIndent) + s.out.paint.In(text.Bold, label) + strings.Repeat(" ", max(1, storyLabel-text.Width(label)))
		if s.out.columns > 0 && (text.Width(head) > wide || hang+20 > s.out.columns) {
			s.out.printf("%s%s\n", lead, strings.TrimRight(text.Cut(head, max(20, s.out.columns-storyIndent-storyLabel)), " "))
			head, hang = "", storyIndent+storyLabel+2
			lead = strings.Repeat(" ", hang-2)
		}
		room := 0
		if s.out.columns > 0 {
			room = max(20, s.out.columns-hang)
		}
		for j, l := range text.Wrap(said, room) {
			if j == 0 {
				s.out.printf("%s\n", strings.TrimRight(lead+head+"  "+s.out.paint.In(style, l), " "))
			} else {
				s.out.printf("%s%s\n", strings.Repeat(" ", hang), s.out.paint.In(style, l))
			}
		}
	}
}

// showExplanation tells what becomes of a request, in the order of the stages.
func showExplanation(out *screen, all bool, r api.ExplainRequest, e api.Explanation) error {
	s := &story{out, all}
	out.printf("%s\n\n", out.paint.In(text.Bold, text.Printable(cmp.Or(r.Method, "GET")+" "+r.URL)))
	if e.Listener != "" {
		s.line("listener", text.Plain, e.Listener)
	}
	if e.Site != "" {
		s.line("site", text.Green, e.Site)
		s.why(e.SiteWhy)
	}
	if e.Route != "" {
		s.line("route", text.Green, e.Route)
		if e.Match != e.Route {
			s.why("matches " + e.Match)
		}
		for _, c := range e.Captures {
			s.why(c.Name + " = " + c.Value)
		}
	}
	s.others(e.Others)
	if e.Arm != "" {
		s.line("arm", text.Green, e.Arm)
		s.why(e.ArmWhy)
	}
	if e.Coding != "" {
		s.line("compress", text.Plain, e.Coding+", if the content is of a type that is compressed")
	}
	s.filters(e.Filters)
	s.cache(e.Cache)
	s.destination(&e)
	s.request(e.Request)
	s.answer(e.Answer)
	for i, n := range e.Notes {
		label := ""
		if i == 0 {
			out.printf("\n")
			label = "note"
		}
		s.line(label, text.Plain, n)
	}
	return nil
}

// maxOthers is how many routes are told of that do not serve a request, of each
// sort, unless all are asked for.
const maxOthers = 12

// others tells which routes match but lose, and then which match nearly.
func (s *story) others(all []api.Candidate) {
	for _, near := range []bool{false, true} {
		var rows [][2]string
		more := 0
		for _, c := range all {
			switch {
			case c.Near != near:
			case len(rows) == maxOthers && !s.all:
				more++
			default:
				rows = append(rows, [2]string{cmp.Or(c.Match, c.Route), c.Why})
			}
		}
		label, style := "not", text.Dim
		if near {
			label, style = "nearly", text.Yellow
		}
		s.rows(label, style, rows)
		if more > 0 {
			s.why(fmt.Sprintf("and %d more, which -v shows", more))
		}
	}
}

func (s *story) filters(all []api.FilterRun) {
	var rows [][2]string
	for i, f := range all {
		name := strconv.Itoa(i+1) + " " + f.Name
		if f.Version != 0 {
			name += "@" + strconv.Itoa(f.Version)
		}
		said := "if it fails: " + f.OnError
		if f.Why != "" {
			said = "this version, since " + f.Why + "; " + said
		}
		if f.Shadow != 0 {
			said += fmt.Sprintf("; @%d gets a copy", f.Shadow)
		}
		switch {
		case f.State == api.FilterDamaged:
			said = "the state directory is damaged: what gets here is denied"
		case f.State == api.FilterMissing && f.OnError == "skip":
			said = "nothing was uploaded for it: it is skipped"
		case f.State == api.FilterMissing:
			said = "nothing was uploaded for it: what gets here is denied"
		case f.Pinned:
			said = "the route names this version; " + said
		case f.State == api.FilterOffline:
			said = "its version is known once the file runs; " + said
		}
		rows = append(rows, [2]string{name, said})
	}
	s.rows("filters", text.Dim, rows)
}

func (s *story) cache(c *api.CacheCase) {
	if c == nil {
		return
	}
	style := text.Yellow
	if c.Does == "hit" || c.Does == "stale" {
		style = text.Green
	}
	s.line("cache", style, c.Does)
	s.why(c.Why)
	switch {
	case c.TTL > 0:
		s.why(fmt.Sprintf("its age is %s, and it is fresh for %s more", seconds(c.Age), seconds(c.TTL)))
	case c.Age > 0:
		s.why("its age is " + seconds(c.Age))
	}
	s.why("key " + c.Key)
}

// seconds returns roughly how long a number of seconds is.
func seconds(n float64) string {
	return text.Age(time.Duration(min(n, 1e9) * float64(time.Second)))
}

// destination tells who is asked, or would be if it came to that.
func (s *story) destination(e *api.Explanation) {
	if e.Upstream != nil {
		s.line("upstream", text.Green, e.Upstream.Name)
	}
	if e.Function != "" {
		s.line("function", text.Green, e.Function)
		if e.FunctionWhy != "" {
			s.why("this version, since " + e.FunctionWhy)
		}
	}
	switch {
	case e.Upstream == nil && e.Function == "":
	case e.Request == nil && e.Answer == nil:
		s.why("not asked: the cache answers")
	case e.Request == nil:
		s.why("not asked")
	case e.Upstream != nil:
		s.endpoints(e.Upstream)
	}
}

// endpoints tells which endpoint of an upstream is asked.
func (s *story) endpoints(d *api.Destination) {
	if len(d.Endpoints) == 0 {
		s.why("it has no endpoint")
		return
	}
	s.why(d.Balance)
	var rows [][2]string
	left := slices.ContainsFunc(d.Endpoints, func(e api.Eligible) bool { return e.Usable })
	for i, e := range d.Endpoints {
		why := e.Why
		switch {
		case i == 0 && !e.Usable && !left:
			why = "tried all the same, since there is no other: " + why
		case !e.Usable:
			why = "not now: " + why
		case i == 0:
			why = strings.TrimSuffix("tried first; "+why, "; ")
		}
		rows = append(rows, [2]string{e.Address, strings.TrimSuffix(why, ": ")})
	}
	s.rows("", text.Dim, rows)
}

func (s *story) request(r *api.Sent) {
	if r == nil {
		return
	}
	s.line("asks", text.Plain, r.Method+" "+r.URI)
	if r.Host != "" {
		s.why("Host: " + r.Host)
	}
	if r.Upgrade != "" {
		s.why("Upgrade: " + r.Upgrade)
	}
	for _, f := range r.Fields {
		s.why(f.Name + ": " + f.Value)
	}
}

func (s *story) answer(a *api.Fixed) {
	if a == nil {
		return
	}
	style, said := text.Green, strconv.Itoa(a.Status)
	if a.Status >= 400 || a.Status == 0 {
		style = text.Red
	}
	if a.Status == 0 {
		said = "none"
	}
	if a.Location != "" {
		said += " to " + a.Location
	}
	s.line("answer", style, said)
	s.why(a.Why)
}
