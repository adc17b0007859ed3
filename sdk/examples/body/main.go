// Body replaces one text by another in text responses, piece by piece. The
// configuration is the text, a space, and what is to be there instead.
package main

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
)

func init() {
	r := new(replacer)
	sdk.Handle(sdk.Filter{Features: sdk.BufferResponse, Configure: r.configure, Request: r.request, Response: r.response})
}

func main() {}

type replacer struct {
	from, to []byte
}

func (r *replacer) configure(config []byte) error {
	var ok bool
	if r.from, r.to, ok = bytes.Cut(config, []byte(" ")); !ok || len(r.from) == 0 {
		return errors.New("want a text, a space, and what is to be there instead")
	}
	return nil
}

func (r *replacer) request(x *sdk.Exchange) sdk.Verdict {
	x.Request.Fields.Del("Accept-Encoding") // compressed content cannot be searched
	return sdk.Next
}

func (r *replacer) response(x *sdk.Exchange) {
	if x.Failed() || !strings.HasPrefix(x.Response.Fields.Get("Content-Type"), "text/") {
		return
	}
	// What is at the end of a piece may be the beginning of the text: it is looked
	// at again with the next.
	var have []byte
	piece := make([]byte, 16384)
	for {
		n, err := x.Response.Body.Read(piece)
		have = append(have, piece[:n]...)
		for {
			before, after, ok := bytes.Cut(have, r.from)
			if !ok {
				break
			}
			x.Response.Body.Write(before)
			x.Response.Body.Write(r.to)
			have = after
		}
		if err == io.EOF {
			x.Response.Body.Write(have)
			return
		}
		if done := len(have) - len(r.from) + 1; done > 0 {
			x.Response.Body.Write(have[:done])
			have = have[done:]
		}
	}
}
