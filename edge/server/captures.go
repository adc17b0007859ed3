package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/capture"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
)

// What a capture may ask for, and has if it does not say so.
const (
	captureCount    = 100
	maxCaptureCount = 1000
	captureTime     = time.Minute
	maxCaptureTime  = time.Hour
	maxCaptureBody  = 1 << 20
)

// StartCapture begins to record the exchanges that a describes, or only says what it
// would ask for.
func (s *Server) StartCapture(a api.CaptureRequest, dry bool) (api.Capture, error) {
	w, err := s.wanted(&a)
	if err != nil || dry {
		return api.Capture{Asked: a}, err
	}
	c, err := s.captures.Start(w, a)
	if errors.Is(err, capture.ErrBusy) {
		err = &api.Problem{Title: "too many captures", Status: http.StatusConflict, Detail: err.Error(), Hint: "wait until one has ended, or end one: GET /v1/captures lists them, DELETE ends one"}
	}
	return c, err
}

// wanted returns what a asks for, in which it writes what that is by default.
func (s *Server) wanted(a *api.CaptureRequest) (w capture.Wanted, err error) {
	file := s.snapshot.Load().file
	w = capture.Wanted{Method: a.Method, Path: a.Path, Status: a.Status, Filter: a.Filter, Redact: file.Log.Redact}
	if w.Site, w.Route, err = captured(file, a.Route); err != nil {
		return w, err
	}
	if a.Filter != "" && file.Filter(a.Filter) == nil {
		var have []string
		for _, f := range file.Filters {
			have = append(have, f.Name)
		}
		return w, notCapture(diag.DidYouMean(a.Filter, have), "no route has a filter %q", a.Filter)
	}
	if a.Status != "" && !isStatus(a.Status) {
		return w, notCapture("write 404, or 5xx for all of a class", "%s is no status", shown(a.Status))
	}
	if a.Count == 0 {
		a.Count = captureCount
	}
	if w.Count = a.Count; w.Count < 0 || w.Count > maxCaptureCount {
		return w, notCapture("", "a capture has at most %d exchanges", maxCaptureCount)
	}
	if w.For = captureTime; a.For != "" {
		if w.For, err = config.ParseDuration(a.For); err != nil {
			return w, notCapture("", "for: %v", err)
		}
	}
	if w.For <= 0 || w.For > maxCaptureTime {
		return w, notCapture("", "a capture takes at most %s", durationText(maxCaptureTime))
	}
	a.For = durationText(w.For)
	if a.Bodies == "" {
		a.Bodies = "off"
	}
	if a.Bodies != "off" {
		if w.Content, err = config.ParseSize(a.Bodies); err != nil {
			return w, notCapture("write off, or a size such as 64KB", "bodies: %v", err)
		}
	}
	if w.Content > maxCaptureBody {
		return w, notCapture("", "of each content at most %s are kept", config.FormatSize(maxCaptureBody))
	}
	return w, nil
}

// captured returns the site and the route of a name: site/route, or a site.
func captured(file *config.File, name string) (site, route string, err error) {
	if name == "" {
		return "", "", nil
	}
	var have []string
	for i := range file.Sites {
		st := &file.Sites[i]
		if st.Name == name {
			return st.Name, "", nil
		}
		have = append(have, st.Name)
		for j := range st.Routes {
			full := fullName(st.Name, st.Routes[j].Name)
			if full == name {
				return st.Name, st.Routes[j].Name, nil
			}
			have = append(have, full)
		}
	}
	return "", "", notCapture(diag.DidYouMean(name, have), "there is no route %s, nor a site", shown(name))
}

func isStatus(s string) bool {
	if len(s) != 3 || s[0] < '1' || s[0] > '5' {
		return false
	}
	return s[1:] == "xx" || strings.Trim(s[1:], "0123456789") == ""
}

// durationText returns a duration as the file has it: 1m, and not 1m0s.
func durationText(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// Captures returns all captures, the oldest first.
func (s *Server) Captures() []api.Capture { return s.captures.Captures() }

// Capture returns a capture.
func (s *Server) Capture(id string) (*capture.Capture, error) {
	if c := s.captures.Find(id); c != nil {
		return c, nil
	}
	return nil, noCapture(id)
}

// RemoveCapture ends a capture, and removes what it has, or only says whether it can.
func (s *Server) RemoveCapture(id string, dry bool) error {
	if dry {
		_, err := s.Capture(id)
		return err
	}
	if !s.captures.Remove(id) {
		return noCapture(id)
	}
	return nil
}

func noCapture(id string) error {
	return &api.Problem{Title: "no such capture", Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no capture %s", shown(id)), Hint: "one that has ended is kept for an hour at most: GET /v1/captures lists those that there are"}
}

func notCapture(hint, format string, args ...any) error {
	return &api.Problem{Title: "not a capture", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf(format, args...), Hint: hint}
}

// shown returns a text of a client for people to read, and no more than a line of it.
func shown(s string) string {
	const most = 64
	if len(s) > most {
		return fmt.Sprintf("%q...", strings.ToValidUTF8(s[:most], ""))
	}
	return fmt.Sprintf("%q", s)
}
