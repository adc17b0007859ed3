package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
)

// content is a request's content, which is read once, when somebody asks about it,
// though several may: the signatures that a request has, and our own.
type content struct {
	x    *sdk.Exchange
	read bool
	err  error // of reading

	field string // Content-Digest, as the client has sent it
	size  int64
	sums  map[string]hash.Hash // by the algorithms' names (RFC 9530, section 5)
}

func (c *content) load() error {
	if c.read {
		return c.err
	}
	c.read = true
	c.sums = map[string]hash.Hash{"sha-256": sha256.New()}
	c.field = join(c.x.Request.Fields.Values("Content-Digest"))
	if strings.Contains(c.field, "sha-512") {
		c.sums["sha-512"] = sha512.New()
	}
	var all []io.Writer
	for _, h := range c.sums {
		all = append(all, h)
	}
	c.x.Enable(sdk.BufferRequest)
	if c.size, c.err = io.Copy(io.MultiWriter(all...), c.x.Request.Body); c.err != nil {
		c.err = fmt.Errorf("reading the content: %w", c.err)
	}
	return c.err
}

// check returns an error unless each digest of the client's that is known is that of
// the content, and if there are any one is known (RFC 9530, section 2).
func (c *content) check() error {
	if err := c.load(); err != nil || c.field == "" {
		return err
	}
	digests, err := parseDictionary(c.field)
	if err != nil {
		return fmt.Errorf("the field Content-Digest: %w", err)
	}
	known := false
	for _, m := range digests {
		h := c.sums[m.name]
		if h == nil {
			continue
		}
		known = true
		if !bytes.Equal(m.bytes, h.Sum(nil)) {
			return fmt.Errorf("the %s of Content-Digest is not that of the content", m.name)
		}
	}
	if !known {
		return errors.New("want sha-256 or sha-512 in Content-Digest")
	}
	return nil
}

// digest returns a field Content-Digest.
func (c *content) digest() (string, error) {
	if err := c.load(); err != nil {
		return "", err
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(c.sums["sha-256"].Sum(nil)) + ":", nil
}
