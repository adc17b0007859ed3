package filters

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// slow is content that takes an hour to come.
type slow struct{ edge.Body }

func (s slow) Read(p []byte) (int, error) {
	time.Sleep(time.Hour)
	return s.Body.Read(p)
}

// What a filter costs is the time in which its guest runs: not what lies behind it, nor
// what it waits for. In the bubble time passes only while everybody waits.
func TestTook(t *testing.T) {
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute})
	defer e.Close()
	f := func(guest string) {
		t.Helper()
		filter, err := Load(context.Background(), e, guests.Read(t, guest), Config{Name: guest, Version: 3})
		if err != nil {
			t.Fatal(err)
		}
		defer filter.Close()
		before := filter.Stats().Took
		synctest.Test(t, func(t *testing.T) {
			x := new(edge.Exchange)
			begun := time.Now()
			x.Begin(nil, nil, begun)
			x.Request = edge.Request{Method: "POST", Scheme: "http", Authority: "example.org", Path: "/", Body: slow{edge.Content([]byte("question"))}, Length: 8}
			err := filter.Filter(x, edge.HandlerFunc(func(x *edge.Exchange) error {
				io.Copy(io.Discard, x.Request.Body)
				time.Sleep(time.Hour)
				x.Respond(200, slow{edge.Content([]byte("answer"))}, 6)
				return nil
			}))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, x.Response.Body)
			if waited := time.Since(begun); waited < 3*time.Hour {
				t.Errorf("%s: it took %v in all, want 3h", guest, waited)
			}
			x.End()
			runs := x.Record.Filters
			if len(runs) != 1 || runs[0].Name != guest || runs[0].Version != 3 || runs[0].Took >= time.Minute || filter.Stats().Took-before >= time.Minute {
				t.Errorf("%s: got %+v, and in all %v", guest, runs, filter.Stats().Took-before)
			}
		})
	}
	f("header-set")
	f("upper-buffered")
	f("upper-streamed")
	f("proxy-filter")
}
