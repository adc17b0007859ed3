package edge

// Handler serves an exchange. If Serve returns nil, x.Response is complete but
// for reading its Body. If it returns an error, nothing of a final response has
// been sent, and the error becomes the response.
type Handler interface {
	Serve(x *Exchange) error
}

// Filter sits between two handlers: it calls next at most once, or answers by
// itself. It is shared by all exchanges of its routes; what it knows of one
// exchange lives on the stack of Filter, or in the body or the ender that it
// installs.
type Filter interface {
	Filter(x *Exchange, next Handler) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(x *Exchange) error

// Serve calls f.
func (f HandlerFunc) Serve(x *Exchange) error { return f(x) }

// FilterFunc is a function as a Filter.
type FilterFunc func(x *Exchange, next Handler) error

// Filter calls f.
func (f FilterFunc) Filter(x *Exchange, next Handler) error { return f(x, next) }

// Chain returns h behind the filters, of which the first sees the request
// first. It allocates: chains are made when a configuration is loaded.
func Chain(h Handler, filters ...Filter) Handler {
	for i := len(filters) - 1; i >= 0; i-- {
		h = &link{filters[i], h}
	}
	return h
}

type link struct {
	filter Filter
	next   Handler
}

func (l *link) Serve(x *Exchange) error { return l.filter.Filter(x, l.next) }

// Refuser is what a Handler may be besides: Refuse makes the response to a
// request that the engine does not accept, of which x has what could be read, so
// that it is logged and counted like any other.
type Refuser interface {
	Refuse(x *Exchange, err error)
}

// Refuse answers x, which h is not to serve, because of err. For engines.
func Refuse(h Handler, x *Exchange, err error) {
	if r, ok := h.(Refuser); ok {
		r.Refuse(x, err)
		return
	}
	x.Answer(err)
}
