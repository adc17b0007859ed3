// Everything uses all of the sdk. See README.md.
package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/sluice-edge/sluice/sdk"
)

var (
	greeting string
	counter  int
)

func init() {
	sdk.Handle(sdk.Filter{
		Features:  sdk.BufferRequest | sdk.BufferResponse,
		Configure: configure,
		Request:   request,
		Response:  response,
	})
}

func main() {}

func configure(config []byte) error {
	if len(config) == 0 {
		return errors.New("no greeting")
	}
	greeting = string(config)
	return nil
}

func request(x *sdk.Exchange) sdk.Verdict {
	counter++
	r := &x.Request
	sdk.Log(sdk.Warn, "seen "+r.URI())
	switch r.URI() {
	case "/next":
		b, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		r.Body.WriteString(strings.ToUpper(string(b)))
		r.SetMethod("PUT")
		r.SetURI("/changed?yes")
		r.Fields.Set("Host", "other.example")
		r.Fields.Add("X-Long", strings.Repeat("l", 5000))
		r.Fields.Del("X-Gone")
		x.Value = greeting
		return sdk.Next
	case "/panic":
		panic("asked to")
	}
	time.Sleep(time.Millisecond)
	done := make(chan string)
	go func() { done <- "goroutine" }()
	fmt.Fprintf(x.Response.Body, "%s %s %s %s %q %q features=%d count=%d %s\n", r.Method(), r.URI(), r.Proto(), r.Client(),
		r.Fields.Names(), r.Fields.Values("x-two"), x.Enable(sdk.Trailers), counter, <-done)
	fmt.Fprintln(x.Response.Body, rand.Uint64())
	x.Response.Fields.Set("X-Long", strings.Repeat("l", 5000))
	x.Response.SetStatus(201)
	return sdk.Stop
}

func response(x *sdk.Exchange) {
	b, err := io.ReadAll(x.Response.Body)
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(x.Response.Body, "%s: %s (%d, failed %v)", x.Value, b, x.Response.Status(), x.Failed())
	x.Response.SetStatus(x.Response.Status() + 1)
	x.Response.Fields.Set("X-Long", fmt.Sprint(len(x.Response.Fields.Get("X-Long"))))
}
