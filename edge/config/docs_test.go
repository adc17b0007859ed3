package config

import (
	"bytes"
	"os"
	"testing"
)

// docs/config.md and its schema are made of the table of keys.
func TestDocs(t *testing.T) {
	for path, want := range map[string][]byte{
		"../../docs/config.md":          []byte(Reference()),
		"../../docs/config.schema.json": Schema(),
	} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(have, want) {
			t.Errorf("%s is not what the keys say: run go test ./edge/config -run TestDocs -update", path)
		}
	}
}
