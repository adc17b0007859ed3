package proxywasm

import (
	"bytes"
	"testing"

	"github.com/sluice-edge/sluice/edge"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// What is to have no effect may ask an upstream, and not tell it anything.
func TestQuiet(t *testing.T) {
	var asked []string
	env := func(name string) (edge.Handler, bool) {
		return edge.HandlerFunc(func(x *edge.Exchange) error {
			asked = append(asked, x.Request.Method)
			x.Respond(201, nil, 0)
			return nil
		}), name == "api"
	}
	calls := func(method string, quiet bool) int {
		t.Helper()
		binary := bytes.ReplaceAll(guests.Read(t, "proxy-filter"), []byte(":method\x00GET"), []byte(":method\x00"+method))
		f, err := loadingBytes(t, binary, Config{Upstream: env, Fetch: []string{"api"}, Quiet: quiet})
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		asked = nil
		return try(t, f, &origin{}, "GET", "/c").status
	}
	if s := calls("GET", true); s != 200 || len(asked) != 1 {
		t.Errorf("GET: status %d, the upstream was asked %q", s, asked)
	}
	if s := calls("PUT", true); s != 503 || len(asked) != 0 {
		t.Errorf("PUT: status %d, the upstream was asked %q", s, asked)
	}
	if s := calls("PUT", false); s != 200 || len(asked) != 1 || asked[0] != "PUT" {
		t.Errorf("PUT of one that may: status %d, the upstream was asked %q", s, asked)
	}
}
