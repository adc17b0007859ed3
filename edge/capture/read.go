package capture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// maxLine bounds a line that is read, in bytes: three contents of 1 MiB in base64 are
// shorter.
const maxLine = 8 << 20

// Reader reads the lines of a capture, which may have been edited, or made by somebody
// else.
type Reader struct {
	r    *bufio.Reader
	line int
}

// NewReader returns a reader of a capture.
func NewReader(r io.Reader) *Reader { return &Reader{r: bufio.NewReaderSize(r, 64<<10)} }

// Line returns the number of the line that was read last, from 1.
func (r *Reader) Line() int { return r.line }

// Next returns the next exchange, or io.EOF behind the last one. Empty lines are passed
// over.
func (r *Reader) Next() (api.Captured, error) {
	for {
		text, err := r.text()
		if err != nil {
			return api.Captured{}, err
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		c, err := parse(text)
		if err != nil {
			return c, fmt.Errorf("line %d: %w", r.line, err)
		}
		return c, nil
	}
}

// text returns the next line.
func (r *Reader) text() ([]byte, error) {
	var line []byte
	for {
		piece, err := r.r.ReadSlice('\n')
		if len(line) == 0 {
			r.line++
		}
		if len(line)+len(piece) > maxLine {
			return nil, fmt.Errorf("line %d: longer than the %d bytes that a line of a capture has at most", r.line, maxLine)
		}
		line = append(line, piece...)
		switch {
		case err == nil:
			return line, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil // the last line has no end
		default:
			return nil, err
		}
	}
}

func parse(text []byte) (api.Captured, error) {
	var c api.Captured
	d := json.NewDecoder(bytes.NewReader(text))
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("no exchange of a capture: %w", err)
	}
	switch {
	case d.More():
		return c, errors.New("no exchange of a capture: something follows it on its line")
	case c.Format == 0:
		return c, errors.New(`no exchange of a capture: it has no "v"`)
	case c.Format != api.CaptureFormat:
		return c, fmt.Errorf("it is of version %d of captures, of which this sluice knows %d: a newer one may read it", c.Format, api.CaptureFormat)
	case strings.TrimSpace(c.Request.URL) == "":
		return c, errors.New("its request has no url")
	}
	return c, nil
}
