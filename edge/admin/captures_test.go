package admin_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// A capture is asked for, followed, read again, and removed.
func TestCaptures(t *testing.T) {
	s, addr := start(t, t.TempDir(), config.Admin{})
	c, err := api.NewClient(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	res, err := http.Post("http://"+addr+"/v1/captures", "application/json", strings.NewReader(`{"route": "shop/plain", "count": 2, "for": "10m"}`))
	if err != nil {
		t.Fatal(err)
	}
	var told api.Capture
	err = json.NewDecoder(res.Body).Decode(&told)
	res.Body.Close()
	if err != nil || res.StatusCode != 201 || res.Header.Get("Location") != "/v1/captures/"+told.ID || told.State != api.CaptureRuns {
		t.Fatalf("got %d, %q, %+v, %v", res.StatusCode, res.Header.Get("Location"), told, err)
	}
	follow, err := c.Captured(t.Context(), told.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	lines := bufio.NewReader(follow)
	for range 2 { // the line of each comes while the capture runs
		res, err := http.Get(s.Addresses()[0] + "/plain")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		var e api.Captured
		line, err := lines.ReadString('\n')
		if err == nil {
			err = json.Unmarshal([]byte(line), &e)
		}
		if err != nil || e.Route != "/plain" && e.Route != "plain" || e.Answer.Status != 204 {
			t.Fatalf("got %s, %v", line, err)
		}
	}
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("behind the last: %q, %v", rest, err)
	}
	have, err := c.Captures(t.Context())
	if err != nil || len(have) != 1 || have[0].State != api.CaptureCounted || have[0].Exchanges != 2 {
		t.Errorf("got %+v, %v", have, err)
	}
	again, err := c.Captured(t.Context(), told.ID, false)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(again)
	again.Close()
	if err != nil || strings.Count(string(b), "\n") != 2 {
		t.Errorf("read again: %q, %v", b, err)
	}
	if err := c.RemoveCapture(t.Context(), told.ID); err != nil {
		t.Error(err)
	}
	none := func(what string, err error) {
		t.Helper()
		if p, ok := errors.AsType[*api.Problem](err); !ok || p.Status != 404 {
			t.Errorf("%s: got %v, want 404", what, err)
		}
	}
	none("remove", c.RemoveCapture(t.Context(), told.ID))
	_, err = c.Capture(t.Context(), told.ID)
	none("get", err)
	_, err = c.Captured(t.Context(), told.ID, true)
	none("exchanges", err)
}

// Who follows a capture that is removed is not left waiting.
func TestCaptureRemoved(t *testing.T) {
	_, addr := start(t, t.TempDir(), config.Admin{})
	c, err := api.NewClient(addr, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	told, err := c.StartCapture(t.Context(), api.CaptureRequest{For: "1h"})
	if err != nil {
		t.Fatal(err)
	}
	follow, err := c.Captured(t.Context(), told.ID, true)
	if err != nil {
		t.Fatal(err)
	}
	defer follow.Close()
	if err := c.RemoveCapture(t.Context(), told.ID); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(follow); err != nil || len(b) > 0 {
		t.Errorf("got %q, %v", b, err)
	}
}
