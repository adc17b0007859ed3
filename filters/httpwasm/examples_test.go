package httpwasm

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/filters/wasm"
	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

const everything = "github.com/sluice-edge/sluice/wasm-testdata/everything"

// TestSDK runs a guest in Go that uses all of the sdk.
func TestSDK(t *testing.T) {
	var out bytes.Buffer
	f := loadBytes(t, guests.Build(t, everything), Config{Config: []byte("hi"), Cold: true, // it counts
		Log: slog.New(slog.NewTextHandler(&out, nil))})

	random := make(map[string]bool)
	for range 3 {
		x := request("POST", "/a?b", nil, 0, "X-Two", "1", "x-two", "2")
		o := &origin{}
		run(t, f, x, o)
		r := &x.Response
		lines := strings.Split(responseBody(t, x), "\n")
		want := `POST /a?b HTTP/1.1 192.0.2.1:1234 ["host" "x-two"] ["1" "2"] features=7 count=1 goroutine`
		if r.Status != 201 || lines[0] != want || len(r.Fields.Get("X-Long")) != 5000 || o.calls != 0 {
			t.Errorf("%d %q", r.Status, lines[0])
		}
		if random[lines[1]] {
			t.Error("random numbers are repeated")
		}
		random[lines[1]] = true
		x.End()
	}

	o := &origin{answer: func(x *edge.Exchange) error {
		x.Respond(202, edge.Content([]byte("answer")), 6)
		x.Response.Fields.Add("X-Long", strings.Repeat("l", 6000))
		return nil
	}}
	x := request("POST", "/next", &streamed{pieces: []string{"con", "tent"}}, -1, "X-Gone", "a")
	run(t, f, x, o)
	if o.method != "PUT" || o.uri != "/changed?yes" || o.host != "other.example" || o.body != "CONTENT" || o.length != 7 ||
		len(o.fields.Get("X-Long")) != 5000 || o.fields.Has("X-Gone") {
		t.Errorf("the origin got %+v", o)
	}
	if got := responseBody(t, x); got != "hi: answer (202, failed false)" || x.Response.Status != 203 ||
		x.Response.Fields.Get("X-Long") != "6000" || x.Response.Length != int64(len(got)) {
		t.Errorf("the client got %d %q", x.Response.Status, got)
	}
	x.End()

	x = request("GET", "/panic", nil, 0)
	defer x.End()
	if err := f.Filter(x, o); edge.AsError(err).Kind != edge.FilterFailed || f.Stats().Failures[wasm.Trapped] != 1 {
		t.Errorf("error is %v", err)
	}
	for _, want := range []string{"seen /next", "panic: asked to"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not logged", want)
		}
	}
}

// TestConfigure refuses a module that refuses its configuration.
func TestConfigure(t *testing.T) {
	var out bytes.Buffer
	e := wasm.NewEngine(wasm.Config{Time: 10 * time.Minute}) // under -race
	defer e.Close()
	_, err := Load(context.Background(), e, guests.Build(t, everything), Config{Start: 30 * time.Second,
		Log: slog.New(slog.NewTextHandler(&out, nil))})
	if err == nil || !strings.Contains(err.Error(), "cannot be initialised") || !strings.Contains(err.Error(), "no greeting") || !strings.Contains(out.String(), "no greeting") {
		t.Errorf("error is %v, log is %s", err, out.String())
	}
}

func TestExampleAuth(t *testing.T) {
	f := loadBytes(t, guests.Build(t, "github.com/sluice-edge/sluice/examples/auth"), Config{
		Name: "auth", Config: []byte(`{"keys":{"ann":"k-1"},"secret":"s"}`)})
	token := func(user string, expiry time.Time) string {
		payload := fmt.Sprintf("%s.%d", user, expiry.Unix())
		h := hmac.New(sha256.New, []byte("s"))
		h.Write([]byte(payload))
		return "Bearer " + payload + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
	}
	check := func(name, value string, status int, user string) {
		t.Helper()
		o := &origin{}
		x := request("GET", "/", nil, 0, "X-User", "root", name, value)
		defer x.End()
		run(t, f, x, o)
		if x.Response.Status != status || o.fields.Get("X-User") != user || o.fields.Has("X-Api-Key") || (o.calls == 1) != (status == 200) {
			t.Errorf("%s %q: %d, %+v", name, value, x.Response.Status, o)
		}
		if status == 401 && !x.Response.Fields.Has("WWW-Authenticate") {
			t.Error("401 without WWW-Authenticate")
		}
	}
	check("X-Api-Key", "k-1", 200, "ann")
	check("X-Api-Key", "k-2", 401, "")
	check("X-Other", "", 401, "")
	check("Authorization", token("bob", time.Now().Add(time.Hour)), 200, "bob")
	check("Authorization", token("bob", time.Now().Add(-time.Hour)), 401, "")
	check("Authorization", token("bob", time.Now().Add(time.Hour))+"x", 401, "")
}

func TestExampleHeaders(t *testing.T) {
	binary, err := os.ReadFile("../../examples/headers/headers.wasm")
	if err != nil {
		t.Fatal(err)
	}
	f, o := loadBytes(t, binary, Config{}), &origin{}
	x := request("GET", "/", nil, 0)
	defer x.End()
	run(t, f, x, o)
	if o.fields.Get("X-Through") != "sluice" || x.Response.Fields.Get("X-Sluice-Filter") != "headers" {
		t.Errorf("%v, %v", o.fields, x.Response.Fields)
	}
}
