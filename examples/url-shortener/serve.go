package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk/function"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// Keys of the namespace: "l/CODE" has a link, "n/CODE" how often it was followed,
// "o/OWNER/CODE" is there for each link of an owner.
const maxContent = 8 << 10 // bytes of a request to make a link

// A link is good for maxTTL at most, unless it is for ever.
const maxTTL = 10 * 365 * 24 * time.Hour

// link is what a code stands for.
type link struct {
	URL   string `json:"url"`
	Owner string `json:"owner"`
	Until int64  `json:"until,omitempty"` // Unix time in seconds; 0: for ever
}

// shown is a link as its owner sees it.
type shown struct {
	Code  string `json:"code"`
	Short string `json:"short"`
	URL   string `json:"url"`
	Until string `json:"until,omitempty"` // RFC 3339
	Count int64  `json:"count"`
}

// failure is an answer that says what is wrong with a request.
type failure struct {
	status int
	text   string
}

// Error implements error.
func (f *failure) Error() string { return f.text }

var (
	errMissing = &failure{404, "there is no such link"}
	errMethod  = &failure{405, "this is not done here"}
)

func (s *shortener) serve(w *function.Response, r *function.Request) {
	w.Fields.Set("X-Content-Type-Options", "nosniff")
	code := strings.TrimPrefix(r.Info, "/")
	var err error
	switch {
	case code == "" && r.Method == "POST":
		err = s.create(w, r)
	case code == "" && (r.Method == "GET" || r.Method == "HEAD"):
		err = s.list(w, r)
	case code == "":
		w.Fields.Set("Allow", "GET, HEAD, POST")
		err = errMethod
	case r.Method == "GET" || r.Method == "HEAD":
		err = s.follow(w, r, code)
	case r.Method == "DELETE":
		err = s.remove(w, r, code)
	default:
		w.Fields.Set("Allow", "GET, HEAD, DELETE")
		err = errMethod
	}
	if err == nil {
		return
	}
	f := &failure{503, "the links cannot be had now"}
	if !errors.As(err, &f) {
		s.log("store: " + err.Error())
	}
	if f.status == 401 {
		w.Fields.Set("WWW-Authenticate", "Bearer")
	}
	w.Fields.Set("Cache-Control", "no-store")
	w.Answer(f.status, f.text+"\n")
}

// get returns a link that has not expired, and its version.
func (s *shortener) get(code string) (*link, int64, error) {
	if !isCode(code) {
		return nil, 0, errMissing
	}
	value, version, err := s.links.Get("l/" + code)
	if errors.Is(err, proxy.None) {
		return nil, 0, errMissing
	}
	if err != nil {
		return nil, 0, err
	}
	l := new(link)
	if err := json.Unmarshal(value, l); err != nil {
		return nil, 0, fmt.Errorf("link %s: %w", code, err)
	}
	return l, version, nil
}

func (s *shortener) follow(w *function.Response, r *function.Request, code string) error {
	l, _, err := s.get(code)
	if err != nil {
		return err
	}
	if r.Method == "GET" {
		// The link counts more than its number.
		if _, err := s.links.Add("n/"+code, 1, s.left(l)); err != nil {
			s.log("count " + code + ": " + err.Error())
		}
	}
	// Asked again each time, so that it is counted, and gone when it is deleted.
	w.Fields.Set("Cache-Control", "no-cache, private")
	w.Fields.Set("Referrer-Policy", "no-referrer")
	w.Redirect(301, l.URL)
	return nil
}

// left is how long a link is good from now on; 0: for ever.
func (s *shortener) left(l *link) time.Duration {
	if l.Until == 0 {
		return 0
	}
	return max(time.Unix(l.Until, 0).Sub(s.now()), time.Millisecond)
}

func (s *shortener) create(w *function.Response, r *function.Request) error {
	owner, err := s.owner(r)
	if err != nil {
		return err
	}
	content, err := io.ReadAll(io.LimitReader(r.Body, maxContent+1))
	if err != nil {
		return &failure{400, "the content has not come"}
	}
	if len(content) > maxContent {
		return &failure{413, "the content is too long"}
	}
	var want struct {
		URL string `json:"url"`
		TTL string `json:"ttl"`
	}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&want); err != nil || d.More() {
		return &failure{400, `the content is not like {"url":"https://example.org/","ttl":"24h"}`}
	}
	target, err := s.target(r, want.URL)
	if err != nil {
		return err
	}
	l := &link{URL: target, Owner: owner}
	if want.TTL != "" {
		ttl, err := time.ParseDuration(want.TTL)
		if err != nil || ttl < time.Second || ttl > maxTTL {
			return &failure{422, "ttl is not a duration like 24h, from a second to ten years"}
		}
		l.Until = s.now().Add(ttl).Unix()
	}
	code, err := s.save(l)
	if err != nil {
		return err
	}
	made := s.shown(r, code, l, 0)
	w.Fields.Set("Location", made.Short)
	w.SetStatus(201)
	return answer(w, made)
}

// save stores a link by a code that no other has, and returns it.
func (s *shortener) save(l *link) (string, error) {
	value, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	for range 8 {
		code := s.code()
		_, err := s.links.Set("l/"+code, value, s.left(l), proxy.Absent)
		if errors.Is(err, proxy.Conflict) {
			continue
		}
		if errors.Is(err, proxy.Limit) {
			return "", &failure{507, "there is no room for more links"}
		}
		if err != nil {
			return "", err
		}
		if _, err := s.links.Set("o/"+l.Owner+"/"+code, nil, s.left(l), proxy.Always); err != nil {
			s.links.Delete("l/"+code, proxy.Always) // nobody could find it
			return "", err
		}
		return code, nil
	}
	return "", errors.New("no code is free: is the generator random?")
}

// page is how many links a list has at most.
const page = 100

func (s *shortener) list(w *function.Response, r *function.Request) error {
	owner, err := s.owner(r)
	if err != nil {
		return err
	}
	prefix := "o/" + owner + "/"
	var answers struct {
		Links []shown `json:"links"`
		Next  string  `json:"next,omitempty"` // the last code, if there are more: after=
	}
	answers.Links = []shown{}
	after := ""
	if code := r.Param("after"); isCode(code) {
		after = prefix + code
	}
	for {
		keys, err := s.links.List(prefix, after)
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			break
		}
		for _, key := range keys {
			if len(answers.Links) == page {
				answers.Next = strings.TrimPrefix(after, prefix)
				return private(w, answers)
			}
			after = key
			code := strings.TrimPrefix(key, prefix)
			l, _, err := s.get(code)
			if errors.Is(err, errMissing) {
				continue // it has just gone
			}
			if err != nil {
				return err
			}
			count, err := s.count(code)
			if err != nil {
				return err
			}
			answers.Links = append(answers.Links, *s.shown(r, code, l, count))
		}
	}
	return private(w, answers)
}

func (s *shortener) count(code string) (int64, error) {
	value, _, err := s.links.Get("n/" + code)
	if errors.Is(err, proxy.None) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(value), 10, 64)
}

func (s *shortener) shown(r *function.Request, code string, l *link, count int64) *shown {
	base := strings.TrimSuffix(r.Path, r.Info)
	v := &shown{Code: code, Short: r.Scheme + "://" + r.Host + base + "/" + code, URL: l.URL, Count: count}
	if l.Until != 0 {
		v.Until = time.Unix(l.Until, 0).UTC().Format(time.RFC3339)
	}
	return v
}

func (s *shortener) remove(w *function.Response, r *function.Request, code string) error {
	owner, err := s.owner(r)
	if err != nil {
		return err
	}
	l, version, err := s.get(code)
	if err != nil {
		return err
	}
	if l.Owner != owner {
		return &failure{403, "this link is somebody else's"}
	}
	// The link itself goes first: if the rest fails, it is only listed no more.
	if err := s.links.Delete("l/"+code, version); err != nil {
		if errors.Is(err, proxy.None) || errors.Is(err, proxy.Conflict) {
			return errMissing // another one was faster
		}
		return err
	}
	for _, key := range []string{"o/" + owner + "/" + code, "n/" + code} {
		if err := s.links.Delete(key, proxy.Always); err != nil && !errors.Is(err, proxy.None) {
			s.log("delete " + key + ": " + err.Error())
		}
	}
	w.SetStatus(204)
	return nil
}

// owner returns whose token a request has. The secret has a line for each owner: name,
// space, token.
func (s *shortener) owner(r *function.Request) (string, error) {
	scheme, token, _ := strings.Cut(r.Fields.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return "", &failure{401, "a token is needed"}
	}
	owners, err := s.secret("owners")
	if err != nil {
		return "", fmt.Errorf("secret owners: %w", err)
	}
	got := sha256.Sum256([]byte(token))
	found := ""
	for line := range strings.Lines(string(owners)) {
		name, want, _ := strings.Cut(strings.TrimSpace(line), " ")
		if !isOwner(name) || len(want) < minToken {
			continue
		}
		// All are compared, each in a time that does not tell what is equal.
		sum := sha256.Sum256([]byte(want))
		if subtle.ConstantTimeCompare(got[:], sum[:]) == 1 {
			found = name
		}
	}
	if found == "" {
		return "", &failure{401, "the token is unknown"}
	}
	return found, nil
}

// minToken is how long a token is at least, in bytes.
const minToken = 16

// isOwner reports whether s can be a part of a key.
func isOwner(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsAny(s, "/\x00")
}

func private(w *function.Response, v any) error {
	w.Fields.Set("Cache-Control", "no-store")
	return answer(w, v)
}

func answer(w *function.Response, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	w.Fields.Set("Content-Type", "application/json")
	w.Write(append(text, '\n')) // an error is the client's
	return nil
}
