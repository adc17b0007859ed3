package sdk_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
)

// try sends a request through a filter to an application that shows what it got.
func try(f sdk.Filter, configuration string, r *http.Request) {
	h, err := sdk.Middleware(f, []byte(configuration), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, r.Method, r.URL, r.Header)
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	fmt.Print(w.Code, " ", w.Body)
}

// A filter that changes requests.
func Example() {
	f := sdk.Filter{
		Request: func(x *sdk.Exchange) sdk.Verdict {
			x.Request.Fields.Set("X-Greeting", "hello")
			return sdk.Next
		},
	}
	// In a filter, its init says sdk.Handle(f).
	try(f, "", httptest.NewRequest("GET", "/a?b=c", nil))
	// Output: 200 GET /a?b=c map[X-Greeting:[hello]]
}

// A filter that answers requests, as its configuration says: a string, with a path
// in each line. Package config reads JSON.
func ExampleExchange_Answer() {
	var closed []string
	f := sdk.Filter{
		Configure: func(config []byte) error {
			closed = strings.Fields(string(config))
			if len(closed) == 0 {
				return errors.New("no path is closed")
			}
			return nil
		},
		Request: func(x *sdk.Exchange) sdk.Verdict {
			if slices.Contains(closed, x.Request.Path()) {
				return x.Answer(404, "nothing here\n")
			}
			return sdk.Next
		},
	}
	try(f, "/old\n/older\n", httptest.NewRequest("GET", "/old?a", nil))
	try(f, "/old\n/older\n", httptest.NewRequest("GET", "/new", nil))
	try(f, "", nil)
	// Output:
	// 404 nothing here
	// 200 GET /new map[]
	// no path is closed
}

// A filter that rewrites the content of responses. It holds it, up to the limit
// called body in sluice.yaml.
func ExampleBody() {
	f := sdk.Filter{
		Features: sdk.BufferResponse,
		Response: func(x *sdk.Exchange) {
			b, err := io.ReadAll(x.Response.Body)
			if err != nil {
				x.Response.SetStatus(502)
				return
			}
			x.Response.Body.WriteString(strings.ToUpper(string(b)))
		},
	}
	try(f, "", httptest.NewRequest("GET", "/loud", nil))
	// Output: 200 GET /LOUD MAP[]
}

// A filter that chooses the arm of a split.
func ExampleRequest_SetArm() {
	f := sdk.Filter{
		Request: func(x *sdk.Exchange) sdk.Verdict {
			if x.Request.Cookie("plan") == "pro" {
				x.Request.SetArm("app-next")
			}
			return sdk.Next
		},
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", "plan=pro")
	try(f, "", r)
	// Output: 200 GET / map[Cookie:[plan=pro] X-Sluice-Arm:[app-next]]
}
