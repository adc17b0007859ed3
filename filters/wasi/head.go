package wasi

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/sluice-edge/sluice/edge"
)

// head is the head of a command's output (RFC 3875, section 6).
type head struct {
	status int
	length int64 // of the content, as announced; -1: not announced
	fields []edge.Field
}

// endOfHead returns how long the head at the beginning of b is with the blank
// line that ends it, or -1. It looks from the given place on.
func endOfHead(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		from += i + 1
		line := bytes.TrimSuffix(b[:from-1], []byte("\r"))
		if len(line) == 0 || line[len(line)-1] == '\n' {
			return from
		}
	}
}

// parseHead parses a head, or as much of one as there is. Lines may end with LF or
// CR LF (RFC 3875, section 7.2: any newline that the system has).
func parseHead(b []byte, complete bool) (*head, error) {
	h := &head{length: -1}
	location := false
	text := string(b) // what the fields alias
	for n := 1; text != ""; n++ {
		line, rest, _ := cutLine(text)
		text = rest
		if line == "" {
			break
		}
		name, value, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d of the output %w", n, err)
		}
		switch {
		case edge.EqualFold(name, "Status"):
			if h.status != 0 {
				return nil, errors.New("the head has more than one Status")
			}
			if h.status, err = parseStatus(value); err != nil {
				return nil, err
			}
			continue
		case edge.EqualFold(name, "Content-Length"):
			if err := h.setLength(value); err != nil {
				return nil, err
			}
			continue
		case hopByHop(name):
			continue // RFC 3875, section 6.3.4: they are the server's
		case edge.EqualFold(name, "Location") || edge.EqualFold(name, "Content-Type"):
			if h.has(name) {
				return nil, fmt.Errorf("the head has more than one %s", name)
			}
			location = location || edge.EqualFold(name, "Location")
		}
		h.fields = append(h.fields, edge.Field{Name: name, Value: value})
	}
	// RFC 3875, section 6.2: at least one of them.
	if complete && h.status == 0 && !location && !h.has("Content-Type") {
		return nil, errors.New("the head has neither Content-Type nor Status nor Location")
	}
	if h.status == 0 {
		h.status = 200
		if location {
			// RFC 3875, section 6.2.3. A path, which section 6.2.2 would have served
			// at once, is the client's to follow too: the address that it shows is
			// then the address of what it shows.
			h.status = 302
		}
	}
	return h, nil
}

// cutLine cuts off the first line, without its end.
func cutLine(s string) (line, rest string, ok bool) {
	for i := range len(s) {
		if s[i] == '\n' {
			line, rest = s[:i], s[i+1:]
			if line != "" && line[len(line)-1] == '\r' {
				line = line[:len(line)-1]
			}
			return line, rest, true
		}
	}
	return s, "", false
}

// parseLine parses a field line. The error goes on a sentence about it.
func parseLine(line string) (name, value string, err error) {
	if line[0] == ' ' || line[0] == '\t' {
		// RFC 9112, section 5.2: obsolete, and no server may send it.
		return "", "", fmt.Errorf("goes on a line before: %.80q", line)
	}
	i := 0
	for i < len(line) && edge.IsTokenByte(line[i]) {
		i++
	}
	if i == 0 || i == len(line) || line[i] != ':' {
		return "", "", fmt.Errorf("is no field: %.80q", line)
	}
	name, value = line[:i], trim(line[i+1:])
	for i := range len(value) {
		// RFC 9110, section 5.5.
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return "", "", fmt.Errorf("has a control character: %.80q", line)
		}
	}
	return name, value, nil
}

func trim(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// parseStatus parses a status with an optional reason (RFC 3875, section 6.3.3).
func parseStatus(v string) (int, error) {
	if len(v) >= 3 && (len(v) == 3 || v[3] == ' ') {
		// RFC 9110, section 15: others are invalid, and 1xx are no final response.
		if n, err := strconv.ParseUint(v[:3], 10, 16); err == nil && n >= 200 && n <= 599 {
			return int(n), nil
		}
	}
	return 0, fmt.Errorf("the head has %.80q as Status, which is none from 200 to 599", v)
}

func (h *head) setLength(v string) error {
	n, err := strconv.ParseUint(v, 10, 63)
	if err != nil || h.length >= 0 && h.length != int64(n) {
		return fmt.Errorf("the head has %.80q as Content-Length", v)
	}
	h.length = int64(n)
	return nil
}

func (h *head) has(name string) bool {
	for i := range h.fields {
		if edge.EqualFold(h.fields[i].Name, name) {
			return true
		}
	}
	return false
}

// hopByHop reports whether a field is about the connection, which is ours.
func hopByHop(name string) bool {
	for _, other := range [...]string{"Connection", "Keep-Alive", "Proxy-Connection", "TE", "Trailer", "Transfer-Encoding", "Upgrade"} {
		if edge.EqualFold(name, other) {
			return true
		}
	}
	return false
}
