package rewrite

import (
	"strings"
	"testing"

	guests "github.com/sluice-edge/sluice/wasm-testdata"
)

// TestWork: what modules of people take is far below the bounds.
func TestWork(t *testing.T) {
	f := func(name string, binary []byte) {
		t.Helper()
		m, err := Rewrite(binary, Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return
		}
		// A unit a byte is what dense code takes; most modules have data, too.
		if m.Work > 2*int64(len(binary))+1000 {
			t.Errorf("%s of %d bytes takes %d units", name, len(binary), m.Work)
		}
	}
	f("Go", guests.Build(t, "github.com/sluice-edge/sluice/wasm-testdata/stateful"))
	f("Rust", guests.Read(t, "rust"))
}

// TestWorkIsBounded by what is allowed for one function, and for all.
func TestWorkIsBounded(t *testing.T) {
	binary := guests.Read(t, "rust")
	m, err := Rewrite(binary, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Rewrite(binary, Options{Work: m.Work}); err != nil {
		t.Error(err)
	}
	for o, want := range map[Options]string{
		{Work: m.Work - 1}:   "with it the module takes",
		{FunctionWork: 1000}: "that one function may take",
		{Work: -1}:           "is below zero",
		{FunctionWork: -1}:   "is below zero",
	} {
		if _, err := Rewrite(binary, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error is %v", o, err)
		}
	}
}
