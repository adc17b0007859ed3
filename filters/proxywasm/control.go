package proxywasm

// upstreamStream is the last of the ABI's kinds of streams: a request, a response, and
// the two sides of a connection of TCP.
const upstreamStream = 3

// resume lets a message go on that the guest has paused. The root context has none,
// which is no error in Envoy, and ends guests of the Rust SDK if it is one.
func (a *args) resume(d uint32) status {
	switch {
	case d > upstreamStream:
		return badArgument
	case d > uint32(ofResponse): // of TCP
		return unimplemented
	}
	s := a.v.serving()
	if s == nil {
		return statusOK
	}
	s.resumed[d] = true
	s.signal()
	return statusOK
}

func (a *args) closeStream() status {
	if a.u32(0) > uint32(ofResponse) {
		return badArgument
	}
	s := a.v.serving()
	if s == nil {
		return statusOK
	}
	s.closed = true
	s.signal()
	return statusOK
}

// getStatus is about the call that the guest is being told of.
func (a *args) getStatus() status {
	if !a.room(0, 3, 4) {
		return invalidMemory
	}
	code, text := uint32(0), ""
	if e := a.v.heard; e != nil {
		code, text = uint32(e.status.Code), e.status.Message
	} else if r := a.v.answered; r != nil {
		code = uint32(r.status)
		if r.err != nil {
			text = "the upstream has not answered"
		}
	}
	if st := a.giveScratch(1, append(a.v.scratch[:0], text...)); st != statusOK {
		return st
	}
	return a.put(0, code)
}

// done says that a root context has ended that was still in use. Others are not waited
// for, as in Envoy.
func (a *args) done() status {
	if r := &a.v.f.root; a.v.serving() == nil && r.leaving.Load() {
		r.left.Store(true)
		return statusOK
	}
	return notFound
}

func (a *args) setContext() status {
	s, ok := a.v.find(a.u32(0))
	if !ok {
		return badArgument
	}
	a.v.serve(s)
	return statusOK
}
