package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/osfile"
)

// overlay is a change by the API to what the files say. It holds until they say
// something else of the same thing: then the files win, and the overlay goes.
type overlay struct {
	Kind  string        `json:"kind"` // "filter", "function", "route", "site", "file"
	Name  string        `json:"name,omitempty"`
	Site  string        `json:"site,omitempty"`  // as the file has it
	Match string        `json:"match,omitempty"` // likewise
	Value any           `json:"value,omitempty"` // as in the file
	Texts []config.Text `json:"texts,omitempty"` // of the kind "file": all of it
	Base  string        `json:"base"`            // digest of what it replaces
	Since time.Time     `json:"since"`
}

// The kinds of overlays that are an edit of a text.
var overlayKinds = map[string]config.OverlayKind{
	"filter":   config.OverlayFilter,
	"function": config.OverlayFunction,
	"route":    config.OverlayRoute,
	"site":     config.OverlaySite,
}

// edit returns the overlay as an edit.
func (o *overlay) edit() config.Overlay {
	return config.Overlay{Kind: overlayKinds[o.Kind], Name: o.Name, Site: o.Site, Match: o.Match, Value: o.Value}
}

// about reports whether two overlays are of the same thing.
func (o *overlay) about(other *overlay) bool {
	return o.Kind == other.Kind && o.Name == other.Name && o.Site == other.Site && o.Match == other.Match
}

// title is what the overlay is called: "auth", "example.com/api/*".
func (o *overlay) title(file *config.File) string {
	switch o.Kind {
	case "route", "site":
		site := o.Site
		for i := range file.Sites {
			if file.Sites[i].Key == o.Site {
				site = file.Sites[i].Name
			}
		}
		if o.Match == "" {
			return site
		}
		return fullName(site, o.Match)
	case "file":
		return "the whole file"
	}
	return o.Name
}

// digest returns that of what texts say of the thing.
func (o *overlay) digest(texts []config.Text) string {
	if o.Kind == "file" {
		return etag(texts)
	}
	return config.Digest(texts, o.edit())
}

// with returns all with o added, or in the place of one that is of the same thing.
// One of the whole file replaces all.
func with(all []overlay, o overlay) []overlay {
	if o.Kind == "file" {
		return []overlay{o}
	}
	all = without(all, o)
	return append(all, o)
}

// without returns all without what is of the same thing as o.
func without(all []overlay, o overlay) []overlay {
	return slices.DeleteFunc(slices.Clone(all), func(have overlay) bool { return have.about(&o) })
}

// rank is smaller for what others may name.
func (o *overlay) rank() int {
	switch o.Kind {
	case "file":
		return 0
	case "filter", "function":
		return 1
	}
	return 2
}

// folded returns the texts with all overlays folded in, in their order.
func folded(texts []config.Text, all []overlay) ([]config.Text, error) {
	var edits []config.Overlay
	for i := range all {
		if all[i].Kind == "file" { // it is the first
			texts = all[i].Texts
			continue
		}
		edits = append(edits, all[i].edit())
	}
	return config.Fold(texts, edits...)
}

// readOverlays reads those that a directory has, of a main file of that name.
func readOverlays(dir, main string) ([]overlay, error) {
	path := overlaysPath(dir)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all []overlay
	if err == nil {
		err = exactly(bytes.NewReader(b)).Decode(&all)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: remove the file to go on with what the configuration file says", path, err)
	}
	for i := range all {
		if len(all[i].Texts) > 0 {
			all[i].Texts[0].Name = main // whatever it was called by
		}
	}
	return all, nil
}

func overlaysPath(dir string) string { return filepath.Join(dir, "overlays.json") }

// writeOverlays replaces those that a directory has.
func writeOverlays(dir string, all []overlay) error {
	if all == nil {
		all = []overlay{}
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return osfile.Replace(overlaysPath(dir), b)
}

// saveOverlays keeps what is to hold after a restart too. s.changing is held.
func (s *Server) saveOverlays(all []overlay) error {
	if sameOverlays(all, s.overlays) {
		return nil
	}
	if err := writeOverlays(s.state.own, all); err != nil {
		return unkept(fmt.Errorf("keep what the API has changed: %w", err))
	}
	return nil
}

// unkept is the problem of a change that cannot be written, for which nobody is to blame
// who asked for it.
func unkept(err error) *api.Problem {
	p := &api.Problem{Title: "not kept", Status: http.StatusInternalServerError, Detail: err.Error()}
	switch {
	case errors.Is(err, syscall.ENOSPC):
		p.Status, p.Hint = http.StatusInsufficientStorage, "the state directory's disk is full"
	case errors.Is(err, fs.ErrPermission):
		p.Hint = "sluice may not write to its state directory"
	}
	return p
}

// sameOverlays reports whether two lists are of the same changes.
func sameOverlays(a, b []overlay) bool {
	return slices.EqualFunc(a, b, func(x, y overlay) bool {
		return x.about(&y) && x.Base == y.Base && x.Since.Equal(y.Since) && canonical(x.Value) == canonical(y.Value) && etag(x.Texts) == etag(y.Texts)
	})
}
