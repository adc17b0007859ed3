package accesslog

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

var update = flag.Bool("update", false, "write docs/reference/log.md anew")

// docs/reference/log.md is made of the tables of names and codes.
func TestDocs(t *testing.T) {
	const path = "../../docs/reference/log.md"
	want := Reference()
	if *update {
		if err := errors.Join(os.MkdirAll("../../docs/reference", 0o755), os.WriteFile(path, []byte(want), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(have) != want {
		t.Errorf("%s is not what the code says: run go test ./edge/accesslog -run TestDocs -update", path)
	}
}

// A JSON line has the keys that the table of names has, and no others.
func TestKeysAreDocumented(t *testing.T) {
	x := full(time.Now())
	x.Record.Err = errors.New("broken")
	x.Record.Function = edge.FilterRun{Name: "hello", Version: 3}
	x.Record.Guest.Add("user", "ann")
	var line map[string]any
	if err := json.Unmarshal([]byte(lineOf(x, Config{Fields: []string{"accept"}})), &line); err != nil {
		t.Fatal(err)
	}
	var got []string
	for key, value := range line {
		if object, ok := value.(map[string]any); ok && (key == "ms" || key == "tls") {
			for k := range object {
				got = append(got, key+"."+k)
			}
		} else if key != "fields" {
			got = append(got, key)
		}
	}
	var want []string
	for n := nameTS; n < namePath; n++ {
		want = append(want, names[n].text)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got the keys\n%q\nwant\n%q", got, want)
	}
	for n := nameTS; int(n) < len(names); n++ {
		if names[n].meaning == "" {
			t.Errorf("%s has no meaning", names[n].text)
		}
	}
}

// Every code of a failure has a meaning, and only those have.
func TestCodesAreDocumented(t *testing.T) {
	var got, want []string
	for _, o := range failures {
		got = append(got, o.code)
	}
	for k := edge.InternalError; k <= edge.ClientGone; k++ {
		want = append(want, k.Why())
	}
	slices.Sort(got)
	slices.Sort(want)
	if want = slices.Compact(want); !slices.Equal(got, want) {
		t.Errorf("got the codes\n%q\nwant\n%q", got, want)
	}
}

// Cells of a table end at a bar.
func TestTables(t *testing.T) {
	for line := range strings.Lines(Reference()) {
		if strings.HasPrefix(line, "|") {
			if n := strings.Count(line, "|"); n != 3 && n != 5 {
				t.Errorf("%d bars in %s", n, line)
			}
		}
	}
}
