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

// contentOf returns a content without the values of secret parameters, if it is a form.
func contentOf(r *redact.Redactor, b []byte, fields []api.Field) []byte {
	for _, f := range fields {
		kind, _, _ := strings.Cut(f.Value, ";")
		if edge.EqualFold(f.Name, "Content-Type") && edge.EqualFold(strings.TrimSpace(kind), "application/x-www-form-urlencoded") {
			return []byte(r.Parameters(string(b)))
		}
	}
	return b
}
