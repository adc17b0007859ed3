package server_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
)

// Runs and failures count since the proxy was started, whatever version they were of,
// and the time since when a deployment runs is that of the last change: by somebody who
// deploys, by a guard and by an upload, also back to the version that was current.
func TestToldOfDeployments(t *testing.T) {
	p, _, ask := trapping(t)
	look := func() api.Filter {
		t.Helper()
		f, err := p.Filter("f")
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	p.deploy(alone)
	first := look().Deployment.Since
	p.deploy(half)
	d := p.rolledBack(ask)
	if b := d.RolledBack; b == nil || !d.Since.After(first) {
		t.Errorf("rolled back: since %v, which was since %v: %+v", d.Since, first, b)
	}
	var asked, failed uint64
	for range 20 {
		if asked++; ask() == 500 {
			failed++
		}
	}
	f := look()
	if f.Live != 1 || failed != 0 {
		t.Fatalf("%+v; %d failed", f, failed)
	}
	await(t, func() bool { f = look(); return f.Failures > 0 && f.Runs > asked }) // those of version 2 too

	p.deploy(half)
	p.deploy(alone) // the current one again
	second := look().Deployment.Since
	if !second.After(d.Since) {
		t.Errorf("since %v after a deployment, before %v", second, d.Since)
	}
	if p.deploy(alone); !look().Deployment.Since.Equal(second) {
		t.Errorf("since %v, where nothing has changed since %v", look().Deployment.Since, second)
	}
	p.deploy(half)
	if _, _, err := p.PushFilter(context.Background(), "f", bytes.NewReader(module(t, "hello")), api.Use{}); err != nil {
		t.Fatal(err)
	}
	third := look().Deployment
	if len(third.Versions) != 1 || !third.Since.After(second) || time.Since(third.Since) < 0 {
		t.Errorf("after an upload: %+v, before since %v", third, second)
	}
	before := look()
	if before.Runs < f.Runs || before.Failures < f.Failures {
		t.Errorf("%d runs and %d failures, which were %d and %d", before.Runs, before.Failures, f.Runs, f.Failures)
	}
}
