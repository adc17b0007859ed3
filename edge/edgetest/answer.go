package edgetest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// step is one thing that an origin does to answer.
type step struct {
	do    string
	value string
	head  *head // of "head"
}

// head is a response's head and how its content is framed.
type head struct {
	status   int
	fields   []word
	trailers []word
	length   string // declared; "": the right one
	framing  string // "", "chunked" or "unframed"
}

// parseSteps reads the steps of an answer.
func parseSteps(words []word) (steps []step, early bool, err error) {
	var h *head
	for i := range words {
		w := &words[i]
		if status, ok := w.isStatus(); ok {
			h = &head{status: status}
			steps = append(steps, step{do: "head", head: h})
			continue
		}
		needsHead := w.isField() || w.name == "chunked" || w.name == "unframed" || w.name == "length"
		if needsHead && h == nil {
			return nil, false, fmt.Errorf("%s comes before a status", w)
		}
		switch name, isTrailer := strings.CutPrefix(w.name, "trailer:"); {
		case isTrailer:
			h.trailers = append(h.trailers, word{name: name, value: w.value})
			h.framing = "chunked"
		case w.isField():
			h.fields = append(h.fields, *w)
		case w.name == "length" && w.set:
			h.length = w.value
		case (w.name == "chunked" || w.name == "unframed") && !w.set:
			h.framing = w.name
		case w.name == "early" && !w.set:
			early = true
		case w.name == "size" && w.set:
			n, err := w.number()
			if err != nil {
				return nil, false, err
			}
			steps = append(steps, step{do: "body", value: string(content(n))})
		case (w.name == "body" || w.name == "trickle" || w.name == "raw") && w.set && w.re == nil:
			steps = append(steps, step{do: w.name, value: w.value})
		case !w.set && strings.Contains(" echo show flush hold stall tunnel close reset ", " "+w.name+" "):
			steps = append(steps, step{do: w.name})
		default:
			return nil, false, fmt.Errorf("%s is not something that an origin does", w)
		}
	}
	if len(steps) == 0 {
		return nil, false, errors.New("the answer has no step")
	}
	return steps, early, nil
}

// answering is an answer under way.
type answering struct {
	origin  *origin
	conn    net.Conn
	br      *bufio.Reader
	request *received
	out     bytes.Buffer
	head    *head // the final one; nil before it
	lied    bool  // what follows on the connection would not be understood
}

// run does the steps, and reports whether the connection can go on.
func (a *answering) run(steps []step) bool {
	for i := range steps {
		if !a.step(&steps[i], steps[i+1:]) {
			return false
		}
	}
	if a.head != nil && a.head.framing == "chunked" && a.hasContent() {
		a.out.WriteString("0\r\n")
		for _, t := range a.head.trailers {
			fmt.Fprintf(&a.out, "%s: %s\r\n", t.name, t.value)
		}
		a.out.WriteString("\r\n")
	}
	if !a.flush() || a.lied {
		return false
	}
	wants := a.request.header.Get("Connection")
	return !strings.EqualFold(wants, "close")
}

// step does one step, and reports whether the next may follow.
func (a *answering) step(s *step, rest []step) bool {
	switch s.do {
	case "head":
		a.writeHead(s.head, rest)
		return s.head.status >= 200 || a.flush()
	case "body", "echo", "show":
		a.write(a.contentOf(s))
	case "trickle":
		if !a.flush() {
			return false
		}
		for i := range len(s.value) {
			a.write(s.value[i : i+1])
			if !a.flush() {
				return false
			}
		}
	case "raw":
		a.out.WriteString(s.value)
	case "flush":
		return a.flush()
	case "hold":
		return a.flush() && a.hold(a.origin.permits)
	case "stall":
		return a.flush() && a.hold(nil)
	case "tunnel":
		if a.flush() {
			io.Copy(a.conn, a.br)
		}
		return false
	case "close":
		a.flush()
		return false
	case "reset":
		a.flush()
		reset(a.conn)
		return false
	}
	return true
}

// contentOf returns what a step adds to the content.
func (a *answering) contentOf(s *step) string {
	switch s.do {
	case "body", "trickle":
		return s.value
	case "echo":
		return string(a.request.body)
	case "show":
		return a.request.head
	}
	return ""
}

func (a *answering) writeHead(h *head, rest []step) {
	fmt.Fprintf(&a.out, "HTTP/1.1 %d %s\r\n", h.status, http.StatusText(h.status))
	for _, f := range h.fields {
		fmt.Fprintf(&a.out, "%s: %s\r\n", f.name, f.value)
		if strings.EqualFold(f.name, "Connection") && strings.EqualFold(f.value, "close") {
			a.lied = true
		}
	}
	if h.status >= 200 {
		a.head = h
		a.frame(h, rest)
	}
	a.out.WriteString("\r\n")
}

// frame writes how the content is framed.
func (a *answering) frame(h *head, rest []step) {
	right := 0
	for i := range rest {
		right += len(a.contentOf(&rest[i]))
	}
	switch {
	case h.length != "":
		fmt.Fprintf(&a.out, "Content-Length: %s\r\n", h.length)
		if n, err := strconv.Atoi(h.length); err != nil || n != right && a.hasContent() {
			a.lied = true
		}
		if h.framing == "chunked" { // both: a lie of its own
			fmt.Fprintf(&a.out, "Transfer-Encoding: chunked\r\n")
			a.lied = true
		}
	case h.framing == "chunked":
		a.out.WriteString("Transfer-Encoding: chunked\r\n")
		for _, t := range h.trailers {
			fmt.Fprintf(&a.out, "Trailer: %s\r\n", t.name)
		}
	case h.framing == "unframed":
		a.lied = true // it ends with the connection
	case h.status != http.StatusNoContent && h.status != http.StatusNotModified:
		fmt.Fprintf(&a.out, "Content-Length: %d\r\n", right)
	}
}

// hasContent reports whether the response may have content (RFC 9110, section
// 6.4.1).
func (a *answering) hasContent() bool {
	return a.request.method != http.MethodHead && a.head.status != http.StatusNoContent && a.head.status != http.StatusNotModified
}

// write adds content.
func (a *answering) write(text string) {
	switch {
	case a.head == nil || !a.hasContent() || text == "":
	case a.head.framing == "chunked":
		fmt.Fprintf(&a.out, "%x\r\n%s\r\n", len(text), text)
	default:
		a.out.WriteString(text)
	}
}

func (a *answering) flush() bool {
	_, err := a.conn.Write(a.out.Bytes())
	a.out.Reset()
	return err == nil
}

// hold waits for a permit, and reports whether there was one before the peer
// left.
func (a *answering) hold(permits chan struct{}) bool {
	left := make(chan error, 1)
	a.origin.serving.Go(func() {
		_, err := a.br.Peek(1)
		left <- err
	})
	select {
	case <-permits:
	case <-a.origin.done:
		a.conn.Close()
		<-left
		return false
	case err := <-left:
		if err != nil {
			a.origin.change(func() { a.origin.gone++ })
			return false
		}
		// The next request is there already.
		select {
		case <-permits:
			return true
		case <-a.origin.done:
			return false
		}
	}
	a.conn.SetReadDeadline(time.Unix(1, 0))
	err := <-left
	a.conn.SetReadDeadline(time.Time{})
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}
