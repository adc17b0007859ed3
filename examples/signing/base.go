package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/proxy"
)

// derived are the components that are no fields and are supported (RFC 9421, section
// 2.2).
var derived = []string{"@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query"}

// checkComponents says what is wrong with components of a configuration or a
// signature. No component may be there twice (RFC 9421, section 2).
func checkComponents(list []string) error {
	for i, name := range list {
		switch {
		case slices.Contains(list[:i], name):
			return fmt.Errorf("the component %q is there twice", name)
		case strings.HasPrefix(name, "@"):
			if !slices.Contains(derived, name) {
				return fmt.Errorf("the component %q is not supported", name)
			}
		case !isFieldName(name):
			return fmt.Errorf("the component %q is no field name in lower case", name)
		}
	}
	return nil
}

// isFieldName reports whether s is a token (RFC 9110, section 5.6.2) in lower case.
func isFieldName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// message is a request as its components say it.
type message struct {
	method, uri, scheme string
	values              func(field string) []string
}

func messageOf(r *sdk.Request) *message {
	return &message{r.Method(), r.URI(), schemeOf(), r.Fields.Values}
}

// base returns what is signed of a message (RFC 9421, section 2.5).
func (m *message) base(components []string, params string) (string, error) {
	var b strings.Builder
	for _, name := range components {
		value, err := m.component(name)
		if err != nil {
			return "", err
		}
		b.WriteString(`"` + name + `": ` + value + "\n")
	}
	b.WriteString(`"@signature-params": ` + params)
	return b.String(), nil
}

// component returns the value of a component.
func (m *message) component(name string) (string, error) {
	path, query, _ := strings.Cut(m.uri, "?")
	switch name {
	case "@method":
		return m.method, nil
	case "@authority":
		return m.authority(), nil
	case "@scheme":
		return m.scheme, nil
	case "@target-uri":
		return m.scheme + "://" + m.authority() + m.uri, nil
	case "@request-target":
		return m.uri, nil
	case "@path":
		return path, nil
	case "@query":
		return "?" + query, nil // with ? even if there is none: section 2.2.7
	}
	values := m.values(name)
	if len(values) == 0 {
		return "", fmt.Errorf("there is no field %q", name)
	}
	value := join(values)
	if strings.ContainsAny(value, "\r\n") { // it could pass for further components
		return "", fmt.Errorf("the field %q has a line end in it", name)
	}
	return value, nil
}

// join makes the lines of a field one (RFC 9421, section 2.1).
func join(lines []string) string {
	trimmed := make([]string, len(lines))
	for i, v := range lines {
		trimmed[i] = strings.Trim(v, " \t")
	}
	return strings.Join(trimmed, ", ")
}

// authority returns the host in lower case, without the port that the scheme has
// anyway (RFC 9421, section 2.2.3).
func (m *message) authority() string {
	host := strings.ToLower(join(m.values("host")))
	return strings.TrimSuffix(host, map[string]string{"http": ":80", "https": ":443"}[m.scheme])
}

// schemeOf returns the scheme of the client's connection.
func schemeOf() string {
	if _, err := proxy.Client(proxy.TLS); err != nil {
		return "http"
	}
	return "https"
}
