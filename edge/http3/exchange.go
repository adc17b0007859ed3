package http3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/sluice-edge/sluice/edge"
)

// copySize is how much of a response is read at once.
const copySize = 32 << 10

var exchanges = sync.Pool{New: func() any {
	e := new(exchange)
	e.encoder = qpack.NewEncoder(&e.block)
	return e
}}

// exchange is a request stream while it is served, and the Engine of its
// edge.Exchange.
type exchange struct {
	x     edge.Exchange
	c     *conn
	str   *http3.Stream // for what ends a direction: quic-go keeps count of that
	raw   *quic.Stream  // the same stream, for bytes
	body  body
	names []string // of a map of fields, to sort them

	watching sync.WaitGroup // the goroutine that cancels x
	unwatch  func() bool

	out [frameHeader + copySize]byte // a frame of the response

	mu      sync.Mutex // guards the following fields, and what is written before the final head
	expect  bool       // the client waits for 100 Continue
	final   bool       // the final head is on its way
	block   bytes.Buffer
	encoder *qpack.Encoder // into block
	head    []byte         // a HEADERS frame
}

func (e *exchange) serve(c *conn, str *http3.Stream, r *http.Request) {
	e.c, e.str, e.raw = c, str, str.QUICStream()
	x := &e.x
	x.Begin(e, &c.client, time.Now())
	e.watch(r.Context())
	e.body.begin(e, r.ContentLength)
	err := e.parse(r)
	x.Parsed()
	if err != nil {
		e.refuse(err)
	} else if err := e.handle(); err != nil {
		x.Answer(err)
	}
	if err := e.deliver(); err != nil {
		e.failed(err)
	}
	if x.Response.Body != nil {
		x.Response.Body.Close()
	}
	x.End() // joins whoever reads the body
	e.body.end()
	// RFC 9114, section 4.1: what is left of the request is not wanted, and the
	// response stands. It does nothing where the request was read to its end.
	e.str.CancelRead(codeNoError)
	e.c, e.str, e.raw, e.expect, e.final = nil, nil, nil, false, false
}

// watch cancels the exchange when the client resets the stream or leaves.
func (e *exchange) watch(ctx context.Context) {
	e.watching.Add(1)
	e.unwatch = context.AfterFunc(ctx, func() {
		defer e.watching.Done()
		e.x.Cancel(&edge.Error{Kind: edge.ClientGone, Op: "wait for the client"})
	})
}

// finished is called when the engine is about to end the stream, which would look
// like a client that leaves.
func (e *exchange) finished() {
	if e.unwatch() {
		e.watching.Done()
	}
	e.watching.Wait()
}

// handle calls the handler; a panic in it costs this exchange alone.
func (e *exchange) handle() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = e.panicked("serve", v)
		}
	}()
	return e.c.s.handler.Serve(&e.x)
}

// refuse makes the response to a request that is not accepted.
func (e *exchange) refuse(err error) {
	e.c.s.rejected.Add(1)
	edge.Refuse(e.c.s.handler, &e.x, err)
}

func (e *exchange) panicked(op string, v any) error {
	e.c.s.log.Error("panic", slog.String("op", op), slog.Any("value", v), slog.String("stack", string(debug.Stack())))
	return &edge.Error{Kind: edge.InternalError, Op: op, Err: fmt.Errorf("panic: %v", v)}
}

// failed records why a response was not delivered whole, and resets the stream,
// lest the client take a part for the whole.
func (e *exchange) failed(err error) {
	x := &e.x
	kind := edge.AsError(err).Kind
	if x.Record.Err == nil {
		x.Record.Err = err
		x.Record.Why = kind.Why()
	}
	code := codeInternalError
	if kind == edge.ClientGone {
		code = codeRequestCancelled
	}
	e.finished()
	e.str.CancelWrite(code)
}

// Inform sends an interim response.
func (e *exchange) Inform(status int, f *edge.Fields) error {
	if status < 102 || status > 199 {
		return fmt.Errorf("inform: %d is not an interim status that a handler sends", status)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.final {
		return errors.New("inform: the final response has begun")
	}
	if f != nil {
		if err := checkFields(f); err != nil {
			return fmt.Errorf("inform: %w", err)
		}
	}
	return e.interim(status, f)
}

// Block does nothing: what is written is on its way, and streams do not wait for
// each other.
func (e *exchange) Block() {}

// proceed sends 100 Continue, once, if the client waits for it and the final
// head is not on its way. That it cannot be written shows when the content
// cannot be read.
func (e *exchange) proceed() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.expect && !e.final {
		e.expect = false
		e.interim(http.StatusContinue, nil)
	}
}

// interim writes an interim head; e.mu is held.
func (e *exchange) interim(status int, f *edge.Fields) error {
	_, err := e.write(e.encode(status, -1, f))
	return err
}
