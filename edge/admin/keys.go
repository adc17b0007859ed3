package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/kv"
)

// maxKeys is how many keys are listed at a time.
const maxKeys = 1000

// keys adds the key-value store.
func (a *API) keys(mux *mux) {
	handle := func(pattern string, do func(s *kv.Store, w http.ResponseWriter, r *http.Request) error, parameters ...string) {
		mux.handle(pattern, func(w http.ResponseWriter, r *http.Request) {
			s, err := a.proxy.Keys()
			if err == nil {
				err = do(s, w, r)
			}
			if err != nil {
				a.failed(w, r, keyProblem(r, err))
			}
		}, parameters...)
	}
	handle("GET /v1/kv", a.namespaces)
	handle("GET /v1/kv/{namespace}", a.listKeys, "prefix", "after", "limit")
	handle("GET /v1/kv/{namespace}/{key...}", a.value)
	handle("PUT /v1/kv/{namespace}/{key...}", a.setValue, "ttl")
	handle("DELETE /v1/kv/{namespace}/{key...}", a.removeValue)
}

// keyProblem returns the problem that an error of the store is.
func keyProblem(r *http.Request, err error) error {
	p := api.Problem{Detail: err.Error()}
	switch {
	case errors.Is(err, kv.ErrNone):
		p.Title, p.Status = "no such key", http.StatusNotFound
		p.Detail = fmt.Sprintf("the namespace %q has no key %q", r.PathValue("namespace"), r.PathValue("key"))
		p.Hint = "sluice kv list " + r.PathValue("namespace") + " lists its keys"
	case errors.Is(err, kv.ErrConflict):
		p.Title, p.Status = "changed meanwhile", http.StatusPreconditionFailed
		p.Hint = "sluice kv get -i shows its version"
	case errors.Is(err, kv.ErrInvalid):
		p.Title, p.Status = "not valid", http.StatusBadRequest
	case errors.Is(err, kv.ErrLimit):
		p.Title, p.Status = "too large", http.StatusInsufficientStorage
	default:
		return err
	}
	return &p
}

func (a *API) namespaces(s *kv.Store, w http.ResponseWriter, _ *http.Request) error {
	usage, err := s.Usage()
	if err != nil {
		return err
	}
	all := make([]api.Namespace, len(usage))
	for i, u := range usage {
		all[i] = api.Namespace{Name: u.Namespace, Keys: u.Keys, Bytes: u.Bytes}
	}
	reply(w, http.StatusOK, all)
	return nil
}

// keyOf returns a key as the API tells of it.
func keyOf(key string, e *kv.Entry) api.Key {
	k := api.Key{Key: key, Bytes: len(e.Value), Version: e.Version}
	if !e.Expires.IsZero() {
		at := e.Expires.UTC()
		k.Expires = &at
	}
	return k
}

func (a *API) listKeys(s *kv.Store, w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	limit := maxKeys
	if text := q.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxKeys {
			return &api.Problem{Title: "not valid", Status: http.StatusBadRequest, Detail: fmt.Sprintf("limit is a number from 1 to %d", maxKeys)}
		}
		limit = n
	}
	part := api.Keys{Keys: []api.Key{}}
	err := s.List(r.PathValue("namespace"), q.Get("prefix"), q.Get("after"), func(key []byte, e kv.Entry) bool {
		if len(part.Keys) == limit {
			part.Next = part.Keys[limit-1].Key
			return false
		}
		part.Keys = append(part.Keys, keyOf(string(key), &e))
		return true
	})
	if err != nil {
		return err
	}
	reply(w, http.StatusOK, part)
	return nil
}

// value sends what a key stands for as it is, with its version as the ETag.
func (a *API) value(s *kv.Store, w http.ResponseWriter, r *http.Request) error {
	e, err := s.Get(r.PathValue("namespace"), r.PathValue("key"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Length", strconv.Itoa(len(e.Value)))
	h.Set("ETag", `"`+strconv.FormatInt(e.Version, 10)+`"`)
	if !e.Expires.IsZero() {
		h.Set(api.ExpiresField, e.Expires.UTC().Format(time.RFC3339Nano))
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(readTime)) // a connection of net/http always can
	w.Write(e.Value)                                                         // an error means that the client has gone
	return nil
}

// wantedVersion returns what a write wants of a key's version: that of If-Match, or
// none with If-None-Match: * (RFC 9110, section 13.1).
func wantedVersion(r *http.Request) (int64, error) {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	switch {
	case none == "*" && match == "":
		return kv.Absent, nil
	case match == "" && none == "":
		return kv.Any, nil
	}
	v, err := strconv.ParseInt(strings.Trim(match, `"`), 10, 64)
	if err != nil || v < 1 || none != "" {
		return 0, &api.Problem{Title: "not valid", Status: http.StatusBadRequest,
			Detail: "If-Match is a version, as the ETag of the key is, and If-None-Match is *"}
	}
	return v, nil
}

func (a *API) setValue(s *kv.Store, w http.ResponseWriter, r *http.Request) error {
	namespace, key := r.PathValue("namespace"), r.PathValue("key")
	version, err := wantedVersion(r)
	if err != nil {
		return err
	}
	var ttl time.Duration
	if text := r.URL.Query().Get("ttl"); text != "" {
		if ttl, err = time.ParseDuration(text); err != nil || ttl <= 0 {
			return &api.Problem{Title: "not valid", Status: http.StatusBadRequest, Detail: "ttl is a duration like 10s, 5m, 1h"}
		}
	}
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, api.MaxValue))
	if p := bodyProblem(err); p != nil {
		return p
	}
	if err != nil {
		return &api.Problem{Title: "broken off", Status: http.StatusBadRequest, Detail: err.Error()}
	}
	if dryRun(r) {
		return a.tryKey(s, w, r, version)
	}
	if version, err = s.Set(namespace, key, value, ttl, version); err != nil {
		return err
	}
	a.audit(r, "key set", "namespace", namespace, "key", key)
	e := kv.Entry{Value: value, Version: version}
	if now, err := s.Get(namespace, key); err == nil && now.Version == version {
		e = now
	}
	reply(w, http.StatusOK, keyOf(key, &e))
	return nil
}

// tryKey answers a write that is not to be done: with 204, or with what would refuse
// it.
func (a *API) tryKey(s *kv.Store, w http.ResponseWriter, r *http.Request, version int64) error {
	e, err := s.Get(r.PathValue("namespace"), r.PathValue("key"))
	if errors.Is(err, kv.ErrNone) && r.Method == http.MethodPut {
		err = nil
	}
	if err == nil && version != kv.Any && version != e.Version {
		err = kv.ErrConflict
	}
	if err == nil {
		w.WriteHeader(http.StatusNoContent)
	}
	return err
}

func (a *API) removeValue(s *kv.Store, w http.ResponseWriter, r *http.Request) error {
	namespace, key := r.PathValue("namespace"), r.PathValue("key")
	version, err := wantedVersion(r)
	if err != nil {
		return err
	}
	if dryRun(r) {
		return a.tryKey(s, w, r, version)
	}
	if err := s.Delete(namespace, key, version); err != nil {
		return err
	}
	a.audit(r, "key removed", "namespace", namespace, "key", key)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
