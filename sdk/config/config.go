// Package config reads a filter's configuration. It is apart from package sdk,
// since encoding/json makes a module a fifth larger, and not every filter needs
// it.
package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Unmarshal decodes what [sdk.Filter.Configure] is given into v, a pointer: the
// value that stands under config in sluice.yaml, as JSON. A key that v does not
// have is an error, as it is everywhere else in sluice.yaml. Without a
// configuration v stays as it is.
//
// [sdk.Filter.Configure]: https://pkg.go.dev/github.com/sluice-edge/sluice/sdk#Filter
func Unmarshal(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("there is more than one value")
	}
	return nil
}
