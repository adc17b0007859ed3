package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// change is a configuration that the API wants in force: what is in force with
// other overlays.
type change struct {
	changed  bool // anything at all
	file     *config.File
	overlays []overlay
}

// edit changes overlays. It is given what is in force, and a list of its own whose
// values are not. s.changing is held.
type edit func(file *config.File, all []overlay) ([]overlay, error)

// change makes a change and puts it in force, or only says what would be if how says
// so. What comes out wrong is a Problem, and changes nothing.
func (s *Server) change(how api.Change, cause string, e edit) (*change, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	return s.changeNow(how, cause, e)
}

// changeChecked is change for what names modules and versions: a dry run looks whether those can
// be used, which no other change waits for.
func (s *Server) changeChecked(how api.Change, cause string, e edit) (*change, error) {
	c, err := s.change(how, cause, e)
	if err != nil || !how.DryRun || !c.changed {
		return c, err
	}
	problems := new(diag.List)
	s.checkModules(context.Background(), c.file, problems)
	s.checkVersions(c.file, problems)
	if !problems.Failed() {
		return c, nil
	}
	p := problemOf(problems.Err())
	p.Status, p.Title = http.StatusUnprocessableEntity, "the configuration could not be put in force"
	return nil, p
}

// changeNow is change. s.changing is held.
func (s *Server) changeNow(how api.Change, cause string, e edit) (*change, error) {
	if now := s.ETag(); how.IfMatch != "" && how.IfMatch != "*" && how.IfMatch != now {
		// RFC 9110, section 13.1.1.
		return nil, &api.Problem{Title: "the configuration has changed", Status: http.StatusPreconditionFailed, Detail: "somebody was faster: what is in force has the ETag " + now, Hint: "look at it again"}
	}
	c, err := s.plan(e)
	if err != nil || how.DryRun || !c.changed {
		return c, err
	}
	problems, err := s.apply(c.file, s.base, c.overlays, cause)
	if err == nil {
		err = problems.Err()
	}
	if err == nil {
		return c, nil
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return nil, p
	}
	p := problemOf(err)
	p.Status, p.Title = http.StatusUnprocessableEntity, "the configuration cannot be put in force; the one before goes on"
	return nil, p
}

// plan returns the change that e makes. s.changing is held.
func (s *Server) plan(e edit) (*change, error) {
	file := s.snapshot.Load().file
	next, err := e(file, slices.Clone(s.overlays))
	if err != nil {
		return nil, err
	}
	c := &change{file: file, overlays: next}
	texts, err := folded(s.base, next)
	if err != nil {
		return nil, &api.Problem{Title: "the file cannot be edited", Status: http.StatusUnprocessableEntity, Detail: err.Error(), Hint: "change the file itself"}
	}
	if etag(texts) == s.ETag() && sameOverlays(next, s.overlays) {
		return c, nil
	}
	c.changed = true
	var problems *diag.List
	if c.file, problems = config.ParseTexts(texts, config.Options{}); problems.Failed() {
		p := problemOf(problems.Err())
		p.Status, p.Title = http.StatusUnprocessableEntity, "the configuration would be wrong; nothing was changed"
		return nil, p
	}
	return c, nil
}

// ETag returns what stands for the configuration in force.
func (s *Server) ETag() string { return etag(s.snapshot.Load().file.Texts()) }

// newOverlay completes an overlay of what the files say now. s.changing is held.
func (s *Server) newOverlay(o overlay) overlay {
	o.Base, o.Since = o.digest(s.base), time.Now().UTC().Round(time.Second)
	return o
}

// overlaid returns a configuration with those overlays folded in that still hold,
// and these. What the file itself says is right. s.changing is held.
func (s *Server) overlaid(file *config.File, all []overlay) (*config.File, []overlay) {
	var kept []overlay
	for _, o := range all {
		if o.digest(file.Texts()) != o.Base {
			if with, err := folded(file.Texts(), []overlay{o}); err == nil && etag(with) == etag(file.Texts()) {
				s.log.Info("what the API had changed is in the file now", "kind", o.Kind, "of", o.title(file))
				continue
			}
			s.log.Warn("the file says something else now, and wins: what the API had changed is gone", "kind", o.Kind, "of", o.title(file))
			continue
		}
		kept = append(kept, o)
	}
	if len(kept) == 0 {
		return file, nil
	}
	if with := s.parseFolded(file, kept); with != nil {
		return with, kept
	}
	// One at a time, those first that others name: what does not go together with the
	// file goes.
	slices.SortStableFunc(kept, func(a, b overlay) int { return a.rank() - b.rank() })
	var good []overlay
	result := file
	for _, o := range kept {
		if with := s.parseFolded(file, append(slices.Clip(good), o)); with != nil {
			good, result = append(good, o), with
			continue
		}
		// Without filters that there are not any more a route keeps its others, of which
		// one may be what guards it.
		known := result
		less, some := withoutFilters(o.Value, func(name string) bool { return name != "none" && known.Filter(name) == nil })
		if title := o.title(file); some {
			o.Value = less
			if with := s.parseFolded(file, append(slices.Clip(good), o)); with != nil {
				s.log.Warn("filters that the API had put there are gone from the file, and from there", "kind", o.Kind, "of", title)
				good, result = append(good, o), with
				continue
			}
		}
		s.log.Warn("what the API had changed does not fit the file any more, and is gone", "kind", o.Kind, "of", o.title(file))
	}
	return result, good
}

// parseFolded returns the configuration with overlays, or nil if it is wrong.
func (s *Server) parseFolded(file *config.File, all []overlay) *config.File {
	texts, err := folded(file.Texts(), all)
	if err != nil {
		return nil
	}
	with, problems := config.ParseTexts(texts, config.Options{})
	if problems.Failed() {
		return nil
	}
	return with
}

// Configuration returns what is in force, and where it comes from.
func (s *Server) Configuration() (api.Configuration, error) {
	s.mu.Lock() // for a moment: what is taken here is never changed
	file, base, overlays, steered := s.snapshot.Load().file, s.base, s.overlays, s.steered()
	s.mu.Unlock()
	d := api.Configuration{File: whole(file.Name()), ETag: etag(file.Texts()), Texts: describeTexts(base), Overlays: []api.Overlay{}}
	effective := file.Texts()
	for _, o := range overlays {
		shown := api.Overlay{Kind: o.Kind, Name: o.title(file), Since: o.Since}
		if o.Kind != "file" {
			shown.Value = jsonOf(o.Value)
		}
		d.Overlays = append(d.Overlays, shown)
	}
	shares := steered.overlays(file)
	for _, o := range shares {
		d.Overlays = append(d.Overlays, api.Overlay{Kind: "split", Name: o.title(file), Since: o.Since, Value: jsonOf(o.Value)})
	}
	effective, err := folded(effective, shares)
	if err != nil {
		return d, fmt.Errorf("show the shares of splits: %w", err)
	}
	d.Effective = describeTexts(effective)
	return d, nil
}

func describeTexts(texts []config.Text) []api.Text {
	var all []api.Text
	for _, t := range texts {
		all = append(all, api.Text{Name: whole(t.Name), Text: string(t.Bytes)})
	}
	return all
}

// whole returns the name of a file as it is found from any directory. What is no
// file keeps its name.
func whole(name string) string {
	if _, err := os.Stat(name); err != nil {
		return name
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// mainText returns the texts that stand where the main file has another text.
// Files that it includes are those that were read last.
func (s *Server) mainText(text []byte) []config.Text {
	s.mu.Lock()
	defer s.mu.Unlock()
	texts := slices.Clone(s.base)
	texts[0].Bytes = text
	return texts
}

// Check says what is to be said of a main file that is not in force, and how it
// differs.
func (s *Server) Check(ctx context.Context, text []byte) api.Check {
	texts := s.mainText(text)
	file, problems := config.ParseTexts(texts, config.Options{})
	if !problems.Failed() {
		s.checkModules(ctx, file, problems)
		s.checkVersions(file, problems)
	}
	d := api.Check{Right: !problems.Failed(), Problems: describeProblems(problems)}
	d.Diff = diffTexts(s.snapshot.Load().file.Texts(), texts)
	return d
}

// diffTexts returns how two configurations differ, as a unified diff. Files have the
// names that Configuration gives them.
func diffTexts(old, now []config.Text) string {
	before := make(map[string][]byte)
	for _, t := range old {
		before[t.Name] = t.Bytes
	}
	var diff string
	for _, t := range now {
		diff += config.DiffText(whole(t.Name), before[t.Name], t.Bytes, 3)
		delete(before, t.Name)
	}
	for _, t := range old {
		if b, gone := before[t.Name]; gone {
			diff += config.DiffText(whole(t.Name), b, nil, 3)
		}
	}
	return diff
}

// SetConfig puts a main file in force. It holds until the file on disk changes.
func (s *Server) SetConfig(text []byte, how api.Change) (api.Configuration, error) {
	return s.setTexts(s.mainText(text), how, "set by the API")
}

// setTexts puts a whole configuration in force.
func (s *Server) setTexts(texts []config.Text, how api.Change, cause string) (api.Configuration, error) {
	_, err := s.changeChecked(how, cause, func(_ *config.File, all []overlay) ([]overlay, error) {
		if etag(s.base) == etag(texts) {
			return nil, nil // what the files say
		}
		return with(all, s.newOverlay(overlay{Kind: "file", Texts: texts})), nil
	})
	if err != nil {
		return api.Configuration{}, err
	}
	return s.Configuration()
}

// History returns the configurations that were in force, the latest first.
func (s *Server) History() ([]api.Revision, error) {
	all, err := s.history.list()
	if err != nil {
		return nil, err
	}
	now, current := s.ETag(), false
	list := []api.Revision{}
	for _, r := range all {
		d := api.Revision{Number: r.Number, Time: r.Time, Cause: r.Cause, Bytes: r.Bytes, Current: !current && r.ETag == now}
		current = current || d.Current
		list = append(list, d)
	}
	return list, nil
}

// RollBack puts a revision in force again; 0 stands for the one before the current
// one.
func (s *Server) RollBack(number int, how api.Change) (api.Configuration, error) {
	all, err := s.history.list()
	if err != nil {
		return api.Configuration{}, err
	}
	now := s.ETag()
	i := slices.IndexFunc(all, func(r revision) bool { return r.Number == number })
	if number == 0 {
		if i = slices.IndexFunc(all, func(r revision) bool { return r.ETag == now }); i >= 0 {
			i = slices.IndexFunc(all, func(r revision) bool { return r.Number < all[i].Number && r.ETag != now })
		}
	}
	if i < 0 {
		p := &api.Problem{Title: "no such revision", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no revision %d", number), Hint: "sluice history lists them"}
		if number == 0 {
			p.Detail = "there is no revision before the current one"
		}
		return api.Configuration{}, p
	}
	texts, err := s.history.texts(all[i].Number)
	if err != nil {
		return api.Configuration{}, err
	}
	return s.setTexts(texts, how, fmt.Sprintf("back to revision %d", all[i].Number))
}
