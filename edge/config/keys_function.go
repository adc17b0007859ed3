package config

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// uploaded is what stands for the path of a module that only the API provides.
const uploaded = "uploaded"

// maxEnvironment is how many bytes the variables and arguments of a function have
// at most, with the NUL behind each.
const maxEnvironment = 1 << 20

// wasmForm is where a module comes from.
var wasmForm = called("a path; or `uploaded`: only what the API has been given", pathForm)

// wasm returns the path of a module, or "" if it is what was uploaded.
func (d *decoder) wasm(v value) string {
	s, ok := d.text(v, "a path, or uploaded,")
	if !ok || s == uploaded {
		return ""
	}
	path, _ := d.resolve(v, s)
	return path
}

func functionKeys() object[Function] {
	return object[Function]{"function", "A WebAssembly module that answers requests: a WASI command, which runs as CGI programs do (RFC 3875), or a guest of http-wasm.", append([]key[Function]{
		{"wasm", "", wasmForm, "The module.", func(d *decoder, v value, f *Function) { f.Wasm = d.wasm(v) }},
		{"env", "", freeForm("names", textForm), "Variables of its environment, beside those that tell it about the request.",
			func(d *decoder, v value, f *Function) { f.Env = d.env(v) }},
		{"args", "", listOf(textForm), "Arguments, after the name of the function.",
			func(d *decoder, v value, f *Function) { f.Args = d.args(v) }},
		{"memory", "128MB", sizeForm, "The most memory that one instance may have.", func(d *decoder, v value, f *Function) { d.size(v, &f.Memory, 64<<10, 4<<30) }},
		{"timeout", "10s", durationForm, "The longest that it may work on one request, without the time that it waits for the client.", func(d *decoder, v value, f *Function) {
			d.duration(v, &f.Timeout, time.Millisecond, time.Hour)
		}},
		{"concurrency", "100", numberForm(1, 100_000), "How many requests it works on at a time. More wait a while, and are answered with 503.",
			func(d *decoder, v value, f *Function) { d.number(v, &f.Concurrency, 1, 100_000) }},
		{"every", "", durationForm, "The proxy runs it by itself, so often, from `1s` to `30d`: it gets `POST /` with the field `X-Sluice-Scheduled`, which clients cannot send. A run that is due while the one before goes on is skipped.",
			func(d *decoder, v value, f *Function) { d.duration(v, &f.Every, time.Second, 30*24*time.Hour) }},
		allowKey(func(f *Function) *Allow { return &f.Allow }),
	}, deployKeys(func(f *Function) *Deploy { return &f.Deploy })...)}
}

func (d *decoder) functionMap(v value, f *File) {
	if v.kind != mapping {
		d.wants(v, "a map of names to functions")
		return
	}
	d.each(v, func(name string, k, child value) {
		if !d.module(k, name) {
			return
		}
		if child.kind == scalar {
			d.wants(child, "a map").Hint = "write { wasm: FILE }"
			return
		}
		function := Function{Place: d.place(k), Name: name, Memory: 128 << 20, Timeout: 10 * time.Second, Concurrency: 100}
		have := d.grammar.function.decode(d, child, &function)
		d.need(child, have, "wasm")
		d.checkDeploy(have, &function.Deploy)
		n := 0
		for _, e := range function.Env {
			n += len(e.Name) + len("=") + len(e.Value) + 1
		}
		for _, a := range function.Args {
			n += len(a) + 1
		}
		if n > maxEnvironment {
			d.errorf(k, "env and args are %d bytes together, more than %s", n, FormatSize(maxEnvironment))
		}
		f.Functions = append(f.Functions, function)
	})
}

// requestVariables are the variables by which a function is told of the request:
// RFC 3875, section 4.1, and those that servers commonly add.
var requestVariables = []string{
	"AUTH_TYPE", "CONTENT_LENGTH", "CONTENT_TYPE", "GATEWAY_INTERFACE", "PATH_INFO", "PATH_TRANSLATED", "QUERY_STRING",
	"REMOTE_ADDR", "REMOTE_HOST", "REMOTE_IDENT", "REMOTE_USER", "REQUEST_METHOD", "SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT",
	"SERVER_PROTOCOL", "SERVER_SOFTWARE",
	"DOCUMENT_ROOT", "DOCUMENT_URI", "HTTPS", "REMOTE_PORT", "REQUEST_SCHEME", "REQUEST_URI", "SCRIPT_FILENAME", "SERVER_ADDR",
}

// env reads the variables of a function, sorted by name.
func (d *decoder) env(v value) []Pair {
	if v.kind != mapping {
		d.wants(v, "a map of variables")
		return nil
	}
	if len(v.entries) > maxFew {
		d.errorf(v, "there are %d variables here, more than %d", len(v.entries), maxFew)
		return nil
	}
	var out []Pair
	d.each(v, func(name string, k, child value) {
		switch {
		case !isVariable(name):
			d.errorf(k, "%q is no name of a variable", shorten(name)).Hint = "letters, digits and _ make one, and it begins with no digit"
			return
		// RFC 3875, section 4.1.18: fields of the request are HTTP_ and their names.
		case strings.HasPrefix(name, "HTTP_"), slices.Contains(requestVariables, name):
			d.errorf(k, "the variable %s tells the function about the request, and is set by the proxy itself", shorten(name)).Hint =
				"take another name: those of CGI (RFC 3875) and all that begin with HTTP_ are taken"
			return
		}
		if s, ok := d.withoutNUL(child); ok {
			out = append(out, Pair{name, s, d.from(child)})
		}
	})
	slices.SortFunc(out, func(a, b Pair) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// isVariable reports whether s is a name of POSIX for a variable.
func isVariable(s string) bool {
	return s != "" && !('0' <= s[0] && s[0] <= '9') && strings.IndexFunc(s, func(c rune) bool { return !isNameRune(c) }) < 0
}

func (d *decoder) args(v value) []string {
	var out []string
	for _, item := range d.few(v) {
		if s, ok := d.withoutNUL(item); ok {
			out = append(out, s)
		}
	}
	return out
}

// withoutNUL reads a text that a guest gets with a NUL behind it.
func (d *decoder) withoutNUL(v value) (string, bool) {
	s, ok := d.text(v, "a text")
	if ok && strings.IndexByte(s, 0) >= 0 {
		d.errorf(v, "%s holds a NUL, which ends a variable or argument", d.quote(v))
		return "", false
	}
	return s, ok
}

// pinned reads the name of a module's filter or function, which may have a
// version behind it: hello@3. The version is 0 if there is none.
func (d *decoder) pinned(v value, s, what string) (name string, version int, ok bool) {
	name, pin, has := strings.Cut(s, "@")
	if !isResource(name) {
		d.wants(v, "the name of a "+what)
		return "", 0, false
	}
	if !has {
		return name, 0, true
	}
	version, err := strconv.Atoi(pin)
	if err != nil || version < 1 || version > maxVersion || strconv.Itoa(version) != pin {
		d.errorf(v, "%s names no version: behind @ stands a whole number from 1", d.quote(v)).Hint = "without @ it is the current version"
		return "", 0, false
	}
	return name, version, true
}

// maxVersion is the largest version of a module.
const maxVersion = 1<<31 - 1

// function reads the name of a function that requests go to.
func (d *decoder) function(v value) Target {
	s, ok := d.text(v, "the name of a function")
	if !ok {
		return Target{}
	}
	if name, found := strings.CutPrefix(s, "function:"); found && !d.reference(v) {
		d.wants(v, "the name of a function").Hint = "write " + shorten(name)
		return Target{}
	}
	return d.functionTarget(v, s)
}

func (d *decoder) functionTarget(v value, s string) Target {
	name, version, ok := d.pinned(v, s, "function")
	if !ok {
		return Target{}
	}
	d.functionUses = append(d.functionUses, use{v, name})
	return Target{Function: name, Version: version}
}
