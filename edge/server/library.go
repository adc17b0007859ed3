package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/filters/registry"
)

// maxModule is the largest module that is read from a file, in bytes; uploads are
// bounded by the registry.
const maxModule = 32 << 20

// library is the modules of the filters, or of the functions.
type library struct {
	*registry.Store
	what     string              // "filter" or "function"
	retreats map[string]*retreat // by name: those that are not kept yet. Guarded by Server.changing

	mu    sync.Mutex // guards the following field
	pasts map[string]*past
}

// openLibrary opens the modules that the state directory has.
func openLibrary(state, dir, what string) (*library, error) {
	store, err := registry.Open(filepath.Join(state, dir), registry.Config{})
	if err != nil {
		return nil, fmt.Errorf("open the state directory: %w", err)
	}
	return &library{Store: store, what: what, retreats: make(map[string]*retreat), pasts: make(map[string]*past)}, nil
}

// past returns what takes what guests of a name have done that are gone.
func (l *library) past(name string) *past {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.pasts[name]
	if p == nil {
		p = new(past)
		l.pasts[name] = p
	}
	return p
}

// forget forgets the past of the names of which it is not true.
func (l *library) forget(is func(name string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.pasts, func(name string, _ *past) bool { return !is(name) })
}

// seed makes the module in a file the current version of name, if the file is
// another than the one that was seen last, and returns the version that is current.
func (l *library) seed(name, path string, check registry.Check) (registry.Version, error) {
	binary, err := osfile.Read(path, maxModule)
	if err != nil {
		return registry.Version{}, err
	}
	v, _, err := l.Seed(name, binary, check)
	if err != nil {
		return registry.Version{}, fmt.Errorf("%s: %w", path, err)
	}
	return v, nil
}

// uploaded returns the version of name that is current, or the one that it is
// pinned to. Of a name without versions it is the zero Version.
func (l *library) uploaded(name string, pin int) (registry.Version, error) {
	if pin == 0 {
		v, err := l.Current(name)
		if errors.Is(err, registry.ErrNotFound) {
			err = nil
		}
		return v, err
	}
	v, err := l.Version(name, pin)
	if errors.Is(err, registry.ErrNotFound) {
		return v, fmt.Errorf("the %s %q has no version %d; %s", l.what, name, pin, l.have(name))
	}
	return v, err
}

// have says which versions of a name there are.
func (l *library) have(name string) string {
	versions, _ := l.Versions(name)
	if len(versions) == 0 {
		return "nothing has been uploaded for it"
	}
	numbers := make([]string, 0, len(versions))
	for _, v := range versions {
		numbers = append(numbers, fmt.Sprint(v.Number))
	}
	if n := len(numbers) - 10; n > 0 {
		numbers = append([]string{"..."}, numbers[n:]...)
	}
	return "it has " + strings.Join(numbers, ", ")
}

// describe returns a version as the API shows it.
func (l *library) describe(name string, v registry.Version, live bool) api.ModuleVersion {
	d := api.ModuleVersion{Version: v.Number, Live: live, Digest: "sha256:" + v.Digest, ABI: v.ABI, Bytes: v.Bytes, Uploaded: v.Time, Source: string(v.Source)}
	if l.what == "function" {
		d.Function = name
	} else {
		d.Filter = name
	}
	return d
}

// all returns a name's versions as the API shows them, the newest first.
func (l *library) all(name string, now *api.Deployment) []api.ModuleVersion {
	all := []api.ModuleVersion{}
	versions, err := l.Versions(name)
	if err != nil {
		return all // removed meanwhile, or nothing was uploaded yet
	}
	for _, v := range slices.Backward(versions) {
		d := l.describe(name, v, false)
		for _, o := range now.Versions {
			if o.Version == v.Number {
				d.Live, d.Percent = true, o.Percent
			}
		}
		d.Shadow = v.Number == now.Shadow
		all = append(all, d)
	}
	return all
}

// missing returns the error of a name that there is not.
func (l *library) missing(name string, have []string) error {
	return &api.Problem{Title: "no such " + l.what, Status: http.StatusNotFound, Detail: fmt.Sprintf("there is no %s %q%s", l.what, name, diag.Have(have)), Hint: diag.DidYouMean(name, have)}
}

// inUse returns the error of a name whose module cannot go: the configuration has no
// other. It may have been set by the API as a whole, over a file that does not say so.
func (s *Server) inUse(l *library, o overlay) error {
	p := &api.Problem{Title: "in use", Status: http.StatusConflict,
		Detail: fmt.Sprintf("the file says wasm: uploaded for the %s %q, which has no module without what was uploaded", l.what, o.Name),
		Hint:   "take it out of the file first"}
	s.mu.Lock()
	base := s.base
	s.mu.Unlock()
	value, _ := config.Value(base, o.edit())
	if said, _ := value.(map[string]any); said["wasm"] != "uploaded" {
		p.Detail = fmt.Sprintf("the configuration that the API has set says wasm: uploaded for the %s %q, which has no module without what was uploaded", l.what, o.Name)
		p.Hint = "sluice diff shows what the file says; sluice rollback takes the change back"
	}
	return p
}

// pinned returns the error of a name whose versions routes are pinned to: without
// them no configuration that says so could be put in force.
func (l *library) pinned(name string, routes []string) error {
	return &api.Problem{Title: "in use", Status: http.StatusConflict, Detail: fmt.Sprintf("a version of the %s %q is pinned: %s", l.what, name, strings.Join(routes, ", ")), Hint: "take the @ and the number away there first"}
}

// deployed returns the error of a name of which the file deploys versions, or has one in
// shadow: likewise.
func (l *library) deployed(name string) error {
	return &api.Problem{Title: "in use", Status: http.StatusConflict, Detail: fmt.Sprintf("the file deploys versions of the %s %q, or has one in shadow, by their numbers", l.what, name), Hint: "take deploy: and shadow: out of the file first"}
}

// problem returns err as what the client of the API is told.
func (l *library) problem(name string, err error) error {
	if refused, ok := errors.AsType[*registry.Refused](err); ok {
		p := &api.Problem{Title: "module refused", Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("the module cannot be %s %q; nothing was stored", l.what, name)}
		for reason := range bytes.Lines([]byte(refused.Err.Error())) {
			p.Problems = append(p.Problems, api.Problem{Title: "reason", Detail: string(bytes.TrimSpace(reason))})
		}
		return p
	}
	if d := damaged(err); d != nil {
		return &api.Problem{Title: "the state directory is damaged", Status: http.StatusInternalServerError, Detail: fmt.Sprintf("%s: %v", d.Path, d.Err), Hint: d.Cure}
	}
	p := &api.Problem{Title: "not stored", Detail: err.Error()}
	var broken *http.MaxBytesError
	switch {
	case errors.Is(err, registry.ErrName):
		p.Status = http.StatusBadRequest
	case errors.Is(err, registry.ErrFirst):
		p.Title, p.Status = "nothing to go back to", http.StatusConflict
	case errors.Is(err, registry.ErrNotFound):
		have := l.List()
		p.Title, p.Status = "no such "+l.what, http.StatusNotFound
		p.Detail, p.Hint = fmt.Sprintf("nothing has been uploaded for a %s %q%s", l.what, name, diag.Have(have)), diag.DidYouMean(name, have)
	case errors.Is(err, registry.ErrTooLarge), errors.As(err, &broken):
		p.Status = http.StatusRequestEntityTooLarge
	case errors.Is(err, io.ErrUnexpectedEOF):
		p.Status, p.Detail = http.StatusBadRequest, "the upload broke off; nothing was stored"
	case errors.Is(err, syscall.ENOSPC):
		p.Status, p.Hint = http.StatusInsufficientStorage, "the state directory's disk is full"
	case errors.Is(err, fs.ErrPermission):
		p.Status, p.Hint = http.StatusInternalServerError, "sluice may not write to its state directory"
	default:
		return err
	}
	return p
}
