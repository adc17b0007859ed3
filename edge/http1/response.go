package http1

import "github.com/sluice-edge/sluice/edge"

var (
	errStatusLine = &refusal{502, "malformed status line"}
	errInterim    = &refusal{502, "more interim responses than the limit allows"}
)

// parseResponse reads the head of a response: RFC 9112, section 4.
func parseResponse(block []byte, f *edge.Fields, fr *framing) (status int, err error) {
	line, rest, err := cutLine(block)
	if err != nil {
		return 0, err
	}
	// "HTTP/1.1 200", and a space before the reason, which many leave out with it.
	if len(line) < 12 || line[8] != ' ' || len(line) > 12 && line[12] != ' ' || !all(line[12:], &values) {
		return 0, errStatusLine
	}
	switch str(line[:8]) {
	case "HTTP/1.1":
	case "HTTP/1.0":
		fr.http10 = true
	default:
		return 0, errStatusLine
	}
	for _, ch := range line[9:12] {
		if !digit(ch) {
			return 0, errStatusLine
		}
		status = status*10 + int(ch-'0')
	}
	if status < 100 || status > 599 {
		return 0, errStatusLine // RFC 9110, section 15: to be taken for a 5xx
	}
	if err := fr.parse(rest, f); err != nil {
		return 0, err
	}
	if fr.http10 && fr.coded {
		return 0, errCodingOld // RFC 9112, section 6.1: the framing is faulty
	}
	return status, nil
}
