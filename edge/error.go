package edge

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
)

// Kind is what sort of failure an Error is: a proxy error type of RFC 9209,
// section 2.3, or one of the few that the RFC has no word for.
type Kind uint8

// The kinds. The table below says how each is answered and reported.
const (
	InternalError Kind = iota
	DNSTimeout
	DNSError
	DestinationNotFound
	DestinationUnavailable
	ConnectionRefused
	ConnectionTerminated
	ConnectionTimeout
	ConnectionReadTimeout
	ConnectionWriteTimeout
	ConnectionLimitReached
	TLSProtocolError
	TLSCertificateError
	RequestError
	RequestDenied
	ResponseIncomplete
	ResponseHeaderSectionSize
	ResponseTransferCoding
	ResponseTimeout
	UpgradeFailed
	ProtocolError
	ConfigurationError
	LoopDetected

	// Beyond the RFC.
	NoRoute        // no site or route matches
	Misdirected    // the connection's certificate is not the site's (RFC 9110, section 15.5.20)
	FilterFailed   // a filter trapped, ran out of time or memory, or broke its ABI
	FunctionFailed // a function trapped, ran out of time or memory, or answered with no valid response
	ClientGone     // nobody is left to be told
)

// kinds is the one table of failures: token is RFC 9209's error type and the
// metric label, status what the client gets, why the code of the access log.
var kinds = [...]struct {
	token  string
	status int
	why    string
}{
	InternalError:             {"proxy_internal_error", 500, "internal"},
	DNSTimeout:                {"dns_timeout", 504, "timeout"},
	DNSError:                  {"dns_error", 502, "no-upstream"},
	DestinationNotFound:       {"destination_not_found", 500, "no-upstream"},
	DestinationUnavailable:    {"destination_unavailable", 503, "no-upstream"},
	ConnectionRefused:         {"connection_refused", 502, "connect-fail"},
	ConnectionTerminated:      {"connection_terminated", 502, "upstream-cut"},
	ConnectionTimeout:         {"connection_timeout", 504, "connect-fail"},
	ConnectionReadTimeout:     {"connection_read_timeout", 504, "timeout"},
	ConnectionWriteTimeout:    {"connection_write_timeout", 504, "timeout"},
	ConnectionLimitReached:    {"connection_limit_reached", 503, "limited"},
	TLSProtocolError:          {"tls_protocol_error", 502, "connect-fail"},
	TLSCertificateError:       {"tls_certificate_error", 502, "connect-fail"},
	RequestError:              {"http_request_error", 400, "bad-request"},
	RequestDenied:             {"http_request_denied", 403, "denied"},
	ResponseIncomplete:        {"http_response_incomplete", 502, "upstream-cut"},
	ResponseHeaderSectionSize: {"http_response_header_section_size", 502, "upstream-bad"},
	ResponseTransferCoding:    {"http_response_transfer_coding", 502, "upstream-bad"},
	ResponseTimeout:           {"http_response_timeout", 504, "timeout"},
	UpgradeFailed:             {"http_upgrade_failed", 502, "upstream-bad"},
	ProtocolError:             {"http_protocol_error", 502, "upstream-bad"},
	ConfigurationError:        {"proxy_configuration_error", 500, "internal"},
	LoopDetected:              {"proxy_loop_detected", 502, "loop"},
	NoRoute:                   {"destination_not_found", 404, "no-route"},
	Misdirected:               {"http_request_error", 421, "misdirected"},
	FilterFailed:              {"proxy_internal_error", 500, "filter-trap"},
	FunctionFailed:            {"proxy_internal_error", 500, "function-trap"},
	ClientGone:                {"client_gone", 499, "client-gone"},
}

// String returns RFC 9209's error type.
func (k Kind) String() string { return kinds[k].token }

// Status returns the status code that k is answered with.
func (k Kind) Status() int { return kinds[k].status }

// Why returns the code that the access log shows for k.
func (k Kind) Why() string { return kinds[k].why }

// Error is why an exchange failed.
type Error struct {
	Kind      Kind
	Status    int    // instead of the kind's, where there is a choice (413, 431); else 0
	Op        string // what was being done: "read the response's head"
	Retryable bool   // the origin has processed nothing of the request
	Err       error  // cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s: %s", e.Op, e.Kind)
	}
	return fmt.Sprintf("%s: %s: %v", e.Op, e.Kind, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

func (e *Error) status() int {
	if e.Status != 0 {
		return e.Status
	}
	return e.Kind.Status()
}

// AsError returns the Error in err's chain, or err as an InternalError.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: InternalError, Op: "serve", Err: err}
}

// Answer makes err the response that it stands for. Engines call it with what a
// handler returned; a guest that must see a response calls it earlier.
//
// The client learns the kind of the failure (Proxy-Status, RFC 9209), and never
// its cause, which may name an endpoint, and the request's id, by which the
// operator finds the cause in the log.
func (x *Exchange) Answer(err error) {
	e := AsError(err)
	if x.Record.Err == nil {
		x.Record.Err = err
		x.Record.Why = e.Kind.Why()
	}
	page := errorPage(e.status())
	if x.Record.ID != "" && page != nil {
		b := append(x.Scratch(len(page) + len(requestID) + len(x.Record.ID) + 1)[:0], page...)
		page = append(append(append(b, requestID...), x.Record.ID...), '\n')
	}
	x.failure = content{page, page}
	x.Respond(e.status(), &x.failure, int64(len(page)))
	f := &x.Response.Fields
	f.Add("Content-Type", "text/plain; charset=utf-8")
	if e.Kind != ClientGone {
		f.Add("Proxy-Status", proxyStatus[e.Kind])
	}
}

const requestID = "request id: "

var proxyStatus = func() (values [len(kinds)]string) {
	for k := range kinds {
		values[k] = "sluice; error=" + kinds[k].token
	}
	return values
}()

// errorPages holds the text of every status of 4xx and 5xx.
var errorPages = func() (pages [200][]byte) {
	for i := range pages {
		code := 400 + i
		text := http.StatusText(code)
		if text == "" {
			text = "Error"
		}
		pages[i] = []byte(strconv.Itoa(code) + " " + text + "\n")
	}
	return pages
}()

func errorPage(status int) []byte {
	if i := status - 400; i >= 0 && i < len(errorPages) {
		return errorPages[i]
	}
	return nil
}
