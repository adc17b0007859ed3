package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge"
	"github.com/sluice-edge/sluice/edge/http1"
	"github.com/sluice-edge/sluice/edge/osfile"
	"github.com/sluice-edge/sluice/edge/server"
	"github.com/sluice-edge/sluice/edge/upstream"
	"github.com/sluice-edge/sluice/filters/trial"
)

// maxWorldFile is the largest file of keys or answers, in bytes.
const maxWorldFile = 16 << 20

// worldFlags are the flags that say what of a proxy a module has.
type worldFlags struct{ keys, upstreams, secrets []string }

func (w *worldFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&w.keys, "kv", nil, "a `namespace` of keys that it is allowed; NAMESPACE/KEY=VALUE, NAMESPACE/KEY=@FILE or @FILE has keys in it; may be repeated")
	f.StringArrayVar(&w.upstreams, "upstream", nil, "an upstream that it is allowed, as `NAME=ANSWER`: a URL, which is asked; a status and content; or @FILE; may be repeated")
	f.StringArrayVar(&w.secrets, "secret", nil, "a secret that it is allowed, as `NAME=value`; may be repeated")
}

// world returns what the flags say. Who gets it closes it.
func (w *worldFlags) world() (*trial.World, error) {
	c := trial.WorldConfig{Keys: make(map[string]map[string][]byte), Upstreams: make(map[string]edge.Handler), Secrets: make(map[string]string)}
	for _, s := range w.keys {
		if err := addKeys(c.Keys, s); err != nil {
			return nil, err
		}
	}
	for _, s := range w.upstreams {
		name, answer, ok := strings.Cut(s, "=")
		if !ok || name == "" {
			return nil, usagef("--upstream %q: expected NAME=ANSWER, such as api=http://127.0.0.1:3000, api=200 or api=@FILE", s)
		}
		h, err := playedUpstream(name, answer)
		if err != nil {
			return nil, err
		}
		c.Upstreams[name] = h
	}
	for _, s := range w.secrets {
		name, value, _ := strings.Cut(s, "=")
		c.Secrets[name] = value
	}
	world, err := trial.NewWorld(c)
	if err != nil {
		return nil, usagef("--kv: %v", err)
	}
	return world, nil
}

// addKeys adds what a flag says of keys.
func addKeys(all map[string]map[string][]byte, flag string) error {
	if path, ok := strings.CutPrefix(flag, "@"); ok {
		return addKeyFile(all, path)
	}
	name, value, has := strings.Cut(flag, "=")
	namespace, key, in := strings.Cut(name, "/")
	if all[namespace] == nil {
		all[namespace] = make(map[string][]byte)
	}
	switch {
	case !has && !in:
		return nil
	case !has || !in:
		return usagef("--kv %q: expected NAMESPACE, NAMESPACE/KEY=VALUE, NAMESPACE/KEY=@FILE or @FILE", flag)
	}
	text, err := valueOf("kv", value, maxTrialContent)
	all[namespace][key] = []byte(text)
	return err
}

// addKeyFile adds the keys of a file: an object of JSON that has namespaces, which have
// keys, whose values are texts, or other values that are kept as JSON.
func addKeyFile(all map[string]map[string][]byte, path string) error {
	b, err := osfile.Read(path, maxWorldFile)
	if err != nil {
		return err
	}
	var file map[string]map[string]json.RawMessage
	if err := json.Unmarshal(b, &file); err != nil {
		return usagef(`--kv @%s: %v; write { "NAMESPACE": { "KEY": "VALUE" } }`, path, err)
	}
	for namespace, keys := range file {
		if all[namespace] == nil {
			all[namespace] = make(map[string][]byte)
		}
		for key, value := range keys {
			var text string
			if json.Unmarshal(value, &text) != nil {
				text = string(value)
			}
			all[namespace][key] = []byte(text)
		}
	}
	return nil
}

// playedUpstream returns the upstream that a flag says.
func playedUpstream(name, answer string) (edge.Handler, error) {
	bad := func(format string, args ...any) (edge.Handler, error) {
		return nil, usagef("--upstream %s: %v", name, fmt.Sprintf(format, args...))
	}
	if path, ok := strings.CutPrefix(answer, "@"); ok {
		b, err := osfile.Read(path, maxWorldFile)
		if err != nil {
			return nil, err
		}
		a, err := trial.ParseAnswers(b)
		if err != nil {
			return bad("%s: %v", path, err)
		}
		return a, nil
	}
	if strings.Contains(answer, "://") {
		u, err := url.Parse(answer)
		switch {
		case err != nil:
			return bad("%v", err)
		case u.Scheme != "http" || u.Host == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
			return bad("%s is no upstream: write it as http://HOST:PORT", answer)
		}
		at := u.Host
		if u.Port() == "" {
			at = net.JoinHostPort(u.Hostname(), "80")
		}
		pool := upstream.New(upstream.Config{Name: name, Endpoints: []upstream.Endpoint{{Network: "tcp", Address: at}}}, func(e upstream.Endpoint) upstream.Transport {
			return server.NewTransport(e, http1.TransportConfig{Idle: -1})
		})
		pool.Retire() // it keeps no connection
		return pool, nil
	}
	number, content, _ := strings.Cut(answer, " ")
	status, err := strconv.Atoi(number)
	if err != nil {
		return bad("%q is neither a URL, nor a status and content, nor @FILE", answer)
	}
	a, err := trial.Always(status, []byte(content))
	if err != nil {
		return bad("%v", err)
	}
	return a, nil
}

// missing returns the flags that give what a module was not allowed, for people.
func missing(r *tests) []string {
	var all []string
	for i := range r.Trials {
		for _, line := range r.Trials[i].Trial.Missing {
			if !slices.Contains(all, line) {
				all = append(all, line)
			}
		}
	}
	return all
}
