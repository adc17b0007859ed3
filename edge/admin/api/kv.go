package api

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// MaxValue is the largest value that the API takes, in bytes.
const MaxValue = 1 << 20

// ExpiresField is the field that says when the value of a key expires (RFC 3339). There
// is none if it does not.
const ExpiresField = "Sluice-Expires"

// Namespace is what a namespace of the key-value store has.
type Namespace struct {
	Name  string `json:"name"`
	Keys  int64  `json:"keys"`  // those included that have expired a moment ago
	Bytes int64  `json:"bytes"` // of keys and values, and 64 for each key
}

// Keys is a part of the keys of a namespace, in the order of their bytes.
type Keys struct {
	Keys []Key  `json:"keys"`
	Next string `json:"next,omitempty"` // what ?after= takes for the part that follows; "" at the end
}

// Key is a key of a namespace, without its value.
type Key struct {
	Key     string     `json:"key"`
	Bytes   int        `json:"bytes"`   // of the value
	Version int64      `json:"version"` // no other state of any key has had it
	Expires *time.Time `json:"expires,omitempty"`
}

// KeyChange says how a key is to be changed.
type KeyChange struct {
	TTL     time.Duration // after which it expires; 0: never
	Version int64         // that it must have; 0: any
	Absent  bool          // it must not be there
	DryRun  bool          // check, and change nothing
}

// Namespaces returns the namespaces that have keys.
func (c *Client) Namespaces(ctx context.Context) ([]Namespace, error) {
	return get[[]Namespace](ctx, c, "v1", "kv")
}

// Keys returns those of a namespace's keys that begin with prefix and come behind
// after, at most so many as the API tells of at a time, and as limit says unless that
// is 0.
func (c *Client) Keys(ctx context.Context, namespace, prefix, after string, limit int) (Keys, error) {
	var part Keys
	req, err := c.request(ctx, http.MethodGet, nil, "v1", "kv", namespace)
	if err != nil {
		return part, err
	}
	q := make(url.Values)
	for name, value := range map[string]string{"prefix": prefix, "after": after} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if limit != 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	req.URL.RawQuery = q.Encode()
	err = c.do(req, &part)
	return part, err
}

// Value returns a key and its value.
func (c *Client) Value(ctx context.Context, namespace, key string) (Key, []byte, error) {
	req, err := c.request(ctx, http.MethodGet, nil, "v1", "kv", namespace, key)
	if err != nil {
		return Key{}, nil, err
	}
	req.Header.Set("Accept", "application/octet-stream, "+ContentType)
	res, err := c.http.Do(req)
	if err != nil {
		return Key{}, nil, c.unreachable(req, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK || res.Header.Get("ETag") == "" {
		if err := c.answer(res, nil); err != nil {
			return Key{}, nil, err
		}
		return Key{}, nil, fmt.Errorf("%s answers with status %d", c.addr, res.StatusCode)
	}
	value, err := c.read(res)
	if err != nil {
		return Key{}, nil, err
	}
	k := Key{Key: key, Bytes: len(value)}
	if k.Version, err = strconv.ParseInt(strings.Trim(res.Header.Get("ETag"), `"`), 10, 64); err != nil {
		return Key{}, nil, fmt.Errorf("the answer of %s has no version: %w", c.addr, err)
	}
	if text := res.Header.Get(ExpiresField); text != "" {
		at, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return Key{}, nil, fmt.Errorf("the answer of %s has a wrong time: %w", c.addr, err)
		}
		k.Expires = &at
	}
	return k, value, nil
}

// SetKey gives a key a value, and returns the key: nothing of it after a dry run.
func (c *Client) SetKey(ctx context.Context, namespace, key string, value []byte, change KeyChange) (Key, error) {
	var k Key
	req, err := c.keyRequest(ctx, http.MethodPut, namespace, key, value, change)
	switch {
	case err != nil:
		return k, err
	case change.DryRun:
		return k, c.do(req, nil)
	}
	err = c.do(req, &k)
	return k, err
}

// RemoveKey removes a key.
func (c *Client) RemoveKey(ctx context.Context, namespace, key string, change KeyChange) error {
	req, err := c.keyRequest(ctx, http.MethodDelete, namespace, key, nil, change)
	if err != nil {
		return err
	}
	return c.do(req, nil)
}

func (c *Client) keyRequest(ctx context.Context, method, namespace, key string, value []byte, change KeyChange) (*http.Request, error) {
	req, err := c.request(ctx, method, bytes.NewReader(value), "v1", "kv", namespace, key)
	if err != nil {
		return nil, err
	}
	if change.TTL != 0 {
		req.URL.RawQuery = "ttl=" + change.TTL.String()
	}
	how := Change{DryRun: change.DryRun}
	if change.Version != 0 {
		how.IfMatch = `"` + strconv.FormatInt(change.Version, 10) + `"`
	}
	if change.Absent {
		req.Header.Set("If-None-Match", "*")
	}
	how.apply(req)
	return req, nil
}
