package function_test

import (
	"fmt"
	"io"
	"net/http/httptest"
	"strings"

	"github.com/sluice-edge/sluice/sdk/function"
)

// A function that greets. Its main is function.Serve(hello), and all else is
// here: a test calls it like this.
func Example() {
	hello := func(w *function.Response, r *function.Request) {
		name := r.Param("name")
		if name == "" {
			w.Answer(400, "who are you? /hello?name=YOU\n")
			return
		}
		w.Fields.Set("Cache-Control", "max-age=60")
		fmt.Fprintf(w, "hello, %s\n", name)
	}

	w := httptest.NewRecorder()
	function.Handler(hello).ServeHTTP(w, httptest.NewRequest("GET", "/hello?name=Ann", nil))
	fmt.Println(w.Code, w.Header())
	fmt.Print(w.Body)
	// Output:
	// 200 map[Cache-Control:[max-age=60] Content-Type:[text/plain; charset=utf-8]]
	// hello, Ann
}

// Content is read like any other.
func ExampleHandler() {
	upper := func(w *function.Response, r *function.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			w.Answer(400, "the content is not whole\n")
			return
		}
		w.WriteString(strings.ToUpper(string(b)))
	}

	w := httptest.NewRecorder()
	function.Handler(upper).ServeHTTP(w, httptest.NewRequest("POST", "/upper", strings.NewReader("quiet")))
	fmt.Println(w.Code, w.Body)
	// Output: 200 QUIET
}

// Content is buffered, unless it is flushed.
func ExampleResponse_Flush() {
	count := func(w *function.Response, r *function.Request) {
		w.Fields.Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			if w.Flush() != nil {
				return // nobody listens any more
			}
		}
	}

	w := httptest.NewRecorder()
	function.Handler(count).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Print(w.Body)
	// Output:
	// data: 0
	//
	// data: 1
	//
	// data: 2
}
