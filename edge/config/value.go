package config

import "github.com/sluice-edge/sluice/edge/diag"

// ParseValue reads a value of the file, in YAML or JSON, as package encoding/json
// has it.
func ParseValue(text []byte) (any, error) {
	problems := new(diag.List)
	problems.Source("value", text)
	if len(text) > maxFile {
		problems.Errorf(diag.Place{File: "value", Line: 1, Column: 1}, "the value is %d bytes, more than %s", len(text), FormatSize(maxFile))
		return nil, problems.Err()
	}
	n := readText(Text{"value", text}, problems)
	if n == nil {
		return nil, problems.Err()
	}
	return plain(n), nil
}
