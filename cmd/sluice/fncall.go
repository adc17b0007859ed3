package main

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newFnCall(g *globals) *cobra.Command {
	var r requestFlags
	cmd := &cobra.Command{
		Use:   "call URL",
		Short: "Invoke a function through the running proxy",
		Long: `Send a request to the running proxy, for a route that a function answers, and print the content of the
response; the status goes to standard error. A path alone is enough where only one site has a function there;
otherwise say which, as in example.com/hello. The name need not resolve: the proxy's own address is asked.`,
		Example: `  sluice fn call /hello
  sluice fn call example.com/hello -d '{"name": "you"}' -H "Accept: text/html"
  sluice fn call https://example.com/hello -k`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			err := g.ask(func(c *api.Client) error {
				found, err := findCall(cmd.Context(), c, args[0], r.method(cmd))
				r.URL, r.Dial = found.url, found.dial
				return err
			})
			if err != nil {
				return err
			}
			return r.send(cmd, g.quiet)
		},
	}
	r.add(cmd)
	return cmd
}

// method returns that of the request.
func (r *requestFlags) method(cmd *cobra.Command) string {
	if r.Method == "" && cmd.Flags().Changed("data") {
		return "POST"
	}
	return r.Method
}

// call is how a function is reached.
type call struct {
	site, function string
	url            string
	dial           string // address of the proxy
}

// findCall returns how the function is reached that answers target, which is a path,
// a host with a path, or a URL.
func findCall(ctx context.Context, c *api.Client, target, method string) (call, error) {
	s, err := c.Status(ctx)
	if err != nil {
		return call{}, err
	}
	routes, err := c.Routes(ctx)
	if err != nil {
		return call{}, err
	}
	scheme, rest, full := strings.Cut(target, "://")
	if !full {
		scheme, rest = "", target
	}
	var found []call
	for _, l := range s.Listeners {
		have, addr, ok := strings.Cut(l.Address, "://")
		if !ok || full && have != scheme {
			continue
		}
		dial, err := reachable(addr, c.Host())
		if err != nil {
			continue
		}
		for _, host := range hosts(routes, rest, dial) {
			at := call{url: have + "://" + host, dial: dial}
			e, err := c.Explain(ctx, api.ExplainRequest{Method: method, URL: at.url})
			if err != nil {
				return call{}, err
			}
			if e.Listener != l.Name { // it would come in elsewhere
				continue
			}
			if at.site, at.function = e.Site, e.Function; at.function != "" && !known(found, at) {
				found = append(found, at)
			}
		}
	}
	switch len(found) {
	case 0:
		return call{}, usagef("no function answers %s%s", target, answered(s.Functions))
	case 1:
		return found[0], nil
	}
	var urls []string
	for _, f := range found {
		urls = append(urls, text.Printable(f.url+" ("+f.function+")"))
	}
	return call{}, usagef("several functions answer %s: name one of %s", target, strings.Join(urls, ", "))
}

// hosts returns what may stand behind the scheme of a URL for target: itself, or a
// path of each site that has a function.
func hosts(routes []api.Route, target, dial string) []string {
	if !strings.HasPrefix(target, "/") {
		return []string{target}
	}
	var all []string
	seen := map[string]bool{}
	for _, r := range routes {
		if !seen[r.Site] && strings.Contains(r.Target, "function:") {
			seen[r.Site] = true
			all = append(all, r.Site+target)
		}
	}
	return append(all, dial+target) // sites of any name, and those whose name is no host
}

// known reports whether a call is one of those that were found already, or the same
// by another listener.
func known(found []call, c call) bool {
	for _, f := range found {
		if f.site == c.site && f.function == c.function {
			return true
		}
	}
	return false
}

// reachable returns the address that a listener is reached at: one on all
// addresses, on the machine of the admin API.
func reachable(addr, admin string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = admin
	}
	return net.JoinHostPort(host, port), nil
}

// answered says which routes functions answer.
func answered(functions []api.Function) string {
	var all []string
	for _, f := range functions {
		for _, r := range f.Routes {
			all = append(all, fmt.Sprintf("%s answers %s", text.Printable(f.Name), text.Printable(r)))
		}
	}
	if len(all) == 0 {
		return ": no route has a function; give one to a route with sluice fn push NAME FILE --route SITE/PATH"
	}
	return ": " + strings.Join(all, ", ")
}
