package admin

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// sendTime is how long a client may take to send some of a body. Then its request fails,
// and its connection is closed. It is less than readTime: the server answers some requests
// only when it has read what is left of them.
const sendTime = 30 * time.Second

// unsent is the body of a request whose client has so long for each read.
type unsent struct {
	io.ReadCloser
	control *http.ResponseController
}

// timed returns a request whose body is waited for no longer than sendTime, also by the
// server, which reads a little of what is left when the request is answered, and wants the
// body that it knows for that.
func timed(w http.ResponseWriter, r *http.Request) *http.Request {
	if r.Body == http.NoBody {
		return r
	}
	b := &unsent{r.Body, http.NewResponseController(w)}
	b.wait()
	r = r.WithContext(r.Context())
	r.Body = b
	return r
}

// wait begins the time anew.
func (b *unsent) wait() { b.control.SetReadDeadline(time.Now().Add(sendTime)) } // a connection of net/http always can

func (b *unsent) Read(p []byte) (int, error) {
	b.wait()
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == io.EOF: // what is read from now on is to learn that the client is gone
		b.control.SetReadDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = &api.Problem{Title: "nothing is sent", Status: http.StatusRequestTimeout, Detail: fmt.Sprintf("nothing of the body has come for %v; nothing was changed", sendTime)}
	}
	return n, err
}

// bodyProblem is the problem of a body that could not be read whole; nil: it could.
func bodyProblem(err error) error {
	if large, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(large)
	}
	if p, ok := errors.AsType[*api.Problem](err); ok {
		return p
	}
	return nil
}
