package accesslog

// name is what a template can say of an exchange.
type name uint8

const (
	nameNothing name = iota // the end of the template
	nameTS
	nameID
	nameSite
	nameRoute
	nameClientIP
	nameMethod
	nameURI
	nameProto
	nameStatus
	nameWhy
	nameFailure
	nameCache
	nameBytesIn
	nameBytesOut
	nameEncoding
	nameMSTotal
	nameMSFilters
	nameMSFunction
	nameMSUpstream
	nameUpstream
	nameEndpoint
	nameTries
	nameArm
	nameFilters
	nameFunction
	nameGuest
	nameTLSVersion
	nameTLSKX

	// Those that JSON lines do not have.
	namePath
	nameQuery
	nameHost
	nameScheme
	nameRequestLine
	nameTimeCommon
	nameBytesCommon

	// Those with a field's name behind them.
	nameRequestField
	nameResponseField
)

// Prefixes of the names of fields.
const (
	requestPrefix  = "request."
	responsePrefix = "response."
)

// names is the one table of what lines say: text is the name in templates, and
// until path the path to it in a JSON line. The reference is made of it.
var names = [...]struct{ text, meaning string }{
	nameTS:         {"ts", "when the request began: RFC 3339, UTC, milliseconds"},
	nameID:         {"id", "the request's id, which the client and the origin see in `X-Request-Id`"},
	nameSite:       {"site", "name of the site"},
	nameRoute:      {"route", "name of the route"},
	nameClientIP:   {"client_ip", "address of the client; behind a hop that `trust` names, the address that the hop tells"},
	nameMethod:     {"method", "of the request, as received"},
	nameURI:        {"uri", "path and query, as received"},
	nameProto:      {"proto", "version of the client's request: `HTTP/1.0`, `HTTP/1.1`, `HTTP/2.0`, `HTTP/3.0`"},
	nameStatus:     {"status", "of the response"},
	nameWhy:        {"why", "short stable code of the outcome: [below](#why)"},
	nameFailure:    {"error", "cause of a failure, for people"},
	nameCache:      {"cache", "what the cache did: `hit`, `stale` (hit, and the client allowed an old one), `miss`, `revalidated`, `pass` (not a method that it answers), `bypass` (the client, or a precondition for the origin, keeps off it)"},
	nameBytesIn:    {"bytes_in", "bytes of the request's content that were read"},
	nameBytesOut:   {"bytes_out", "bytes of the response's content that were delivered"},
	nameEncoding:   {"encoding", "content coding that sluice applied"},
	nameMSTotal:    {"ms.total", "milliseconds from the request's head to the end of the response"},
	nameMSFilters:  {"ms.filters", "of these, in filters"},
	nameMSFunction: {"ms.function", "of these, in the function"},
	nameMSUpstream: {"ms.upstream", "of these, waiting for the head of the upstream's response"},
	nameUpstream:   {"upstream", "name of the upstream"},
	nameEndpoint:   {"endpoint", "its address that answered, or was tried last; left out of JSON where the upstream is named by its address"},
	nameTries:      {"tries", "requests sent upstream"},
	nameArm:        {"arm", "of the route's split"},
	nameFilters:    {"filters", "milliseconds by filter: `{\"name@version\": ms}` in JSON, `name@version:ms,...` in templates; a built-in has no version"},
	nameFunction:   {"function", "the function that answered: `name@version`"},
	nameGuest:      {"guest", "what filters and functions have added: `{\"name\": \"text\"}` in JSON, `name=text;...` in templates"},
	nameTLSVersion: {"tls.version", "`1.2` or `1.3`"},
	nameTLSKX:      {"tls.kx", "group of the key exchange, like `X25519MLKEM768`"},

	namePath:        {"path", "path, as received"},
	nameQuery:       {"query", "query, as received, without the `?`"},
	nameHost:        {"host", "`Host` or `:authority`"},
	nameScheme:      {"scheme", "`http` or `https`"},
	nameRequestLine: {"request", "method, uri and proto, with spaces between them: Apache's `%r`"},
	nameTimeCommon:  {"time.common", "when the request began, as in `21/Nov/2026:05:37:02 +0000`, in UTC: Apache's `%t` without its brackets"},
	nameBytesCommon: {"bytes.common", "`bytes_out`, and `-` for 0: Apache's `%b`"},
}

// texts returns the names as templates have them.
func texts() []string {
	var all []string
	for _, n := range names[nameTS:] {
		all = append(all, n.text)
	}
	return all
}
