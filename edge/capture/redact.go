package capture

import (
	"strings"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/redact"
)

// fieldsOf returns a copy of f without secrets.
func fieldsOf(r *redact.Redactor, f *edge.Fields) []api.Field {
	var all []api.Field
	for name, value := range f.All() {
		if r.Field(name) {
			value = redact.Mark
		} else {
			value = r.URL(value)
		}
		all = append(all, api.Field{Name: strings.Clone(name), Value: value})
	}
	return all
}

// contentOf returns a content without secrets, as far as its type says where they are.
func contentOf(r *redact.Redactor, b []byte, fields []api.Field) []byte {
	contentType := ""
	for _, f := range fields {
		if edge.EqualFold(f.Name, "Content-Type") {
			contentType = f.Value
		}
	}
	return r.Content(b, contentType)
}
