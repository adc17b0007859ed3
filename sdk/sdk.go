// Package sdk is for filters in Go: modules of the http-wasm ABI, which see each
// request, may change it or answer it, and see the response. With it a filter is a
// few functions, and its module is built by the Go toolchain alone:
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o greet.wasm
//
// A filter registers itself when its module is initialised, and has an empty
// main:
//
//	func init() { sdk.Handle(sdk.Filter{Request: greet}) }
//
//	func greet(x *sdk.Exchange) sdk.Verdict {
//		x.Request.Fields.Set("X-Greeting", "hello")
//		return sdk.Next
//	}
//
//	func main() {}
//
// Each exchange gets an instance of the module as it was after its
// initialisation: what a filter keeps in variables lasts for one exchange, and
// what it prepares in Configure is there in each. To compile a regular expression
// belongs there.
//
// What is not allowed traps: the exchange is answered with 502, or goes on as if
// the filter were not there, as on-error in sluice.yaml says. A panic is a trap,
// too, and its message is logged.
//
// Built for any other system the same filter runs natively, behind [Middleware],
// so that its tests are ordinary tests.
//
// Package config reads a filter's configuration. Package function is for functions,
// which do nothing but answer.
package sdk

// Filter is what a module does. Nil functions do nothing.
type Filter struct {
	// Features are what the filter needs in every exchange.
	Features Features

	// Configure is given the filter's configuration once, before any exchange: the
	// string that stands under config in sluice.yaml, or the JSON of any other
	// value; nothing if there is none. Package config reads JSON. An error keeps the
	// module from being used, and is shown to who uploads it.
	Configure func(config []byte) error

	// Request sees a request before the next handler. A nil Request lets it go on.
	Request func(*Exchange) Verdict

	// Response sees the response of the next handler, also that to its failure. It
	// may change the response only with the feature BufferResponse. It is not
	// called after Stop.
	Response func(*Exchange)
}

// Features are what a host does only if asked.
type Features uint32

// The features.
const (
	// BufferRequest keeps what is read of a request's content, for the next
	// handler.
	BufferRequest Features = 1 << iota

	// BufferResponse lets Response read and change the response.
	BufferResponse

	// Trailers gives access to trailers.
	Trailers
)

// Verdict is what becomes of a request.
type Verdict bool

// The verdicts.
const (
	Stop Verdict = false // answer with x.Response: 200 and no content unless it was changed
	Next Verdict = true  // go on to the next handler
)

// Exchange is one request and its response.
type Exchange struct {
	Request  Request
	Response Response

	// Value is the filter's own: what Request leaves here Response finds.
	Value any

	host   host
	failed bool
}

func newExchange(h host) *Exchange {
	return &Exchange{
		host:     h,
		Request:  Request{Fields{h, requestFields}, Fields{h, requestTrailers}, Body{h, requestFields}, h},
		Response: Response{Fields{h, responseFields}, Fields{h, responseTrailers}, Body{h, responseFields}, h},
	}
}

// Enable asks for features in this exchange alone. It returns all that are
// enabled.
func (x *Exchange) Enable(f Features) Features { return x.host.enable(f) }

// Failed reports whether the next handler has failed. Valid in Filter.Response.
func (x *Exchange) Failed() bool { return x.failed }

// Answer makes a response of a status and plain text, and returns Stop.
func (x *Exchange) Answer(status int, text string) Verdict {
	x.Response.SetStatus(status)
	x.Response.Fields.Set("Content-Type", "text/plain; charset=utf-8")
	x.Response.Body.WriteString(text)
	return Stop
}

// Redirect makes a response that names another place to go to, with the status
// 301, 302, 303, 307 or 308, and returns Stop.
func (x *Exchange) Redirect(status int, location string) Verdict {
	x.Response.SetStatus(status)
	x.Response.Fields.Set("Location", location)
	return Stop
}

// Level is how important a message is.
type Level int32

// The levels.
const (
	Debug Level = -1 + iota
	Info
	Warn
	Error
)
