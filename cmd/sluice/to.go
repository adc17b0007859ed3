package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/server"
)

func newTo(g *globals) *cobra.Command {
	var host, http, https string
	cmd := &cobra.Command{
		Use:   "to ADDRESS",
		Short: "Serve HTTPS in front of a port, without a file",
		Long: `Put HTTP/1.1, HTTP/2 and HTTP/3 with TLS in front of an application that listens on a port of this machine, or
on host:port or unix:/path. --admin is where the admin API is to listen.`,
		Example: `  sluice to 3000
  sluice to 3000 --host app.example.org
  sluice to unix:/run/app.sock --https 127.0.0.1:8443 --http 127.0.0.1:8080`,
		Args: positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := parseTarget(args[0])
			if err != nil {
				return err
			}
			admin := cmp.Or(g.admin, defaultAdmin)
			text := fmt.Sprintf("listen: { http: %q, https: %q }\nadmin: { listen: %q }\nlog: { access: off }\nsites:\n  %q: { routes: { /: %q } }\n", http, https, admin, host, target)
			file, problems := config.Parse("sluice to "+target, []byte(text), config.Options{})
			if problems.Failed() {
				report(cmd.ErrOrStderr(), problems)
				return errConfig
			}
			// Nothing of sluice run, nor of another one beside this.
			file.State = filepath.Join(file.State, "to", strings.ReplaceAll(admin, "/", "%2F"))
			s := &service{file: file, stderr: cmd.ErrOrStderr()}
			s.started = func() {
				fmt.Fprintf(cmd.OutOrStdout(), "%s is served on %s. Ctrl-C stops it.\n", target, strings.Join(s.proxy.Addresses(), ", "))
			}
			err = s.serve()
			if used, ok := errors.AsType[*server.InUse](err); ok {
				return fmt.Errorf("another sluice to (pid %d) has its admin API at %s: stop it, or give this one another --admin, --http and --https", used.PID, admin)
			}
			return err
		},
	}
	f := cmd.Flags()
	f.StringVar(&host, "host", "*", "host `name` that is served; * for any")
	f.StringVar(&http, "http", ":80", "`address` for HTTP/1.1 without TLS")
	f.StringVar(&https, "https", ":443", "`address` for TLS, and for HTTP/3 over UDP")
	return cmd
}

// parseTarget returns what the application is reached at: 3000 is
// 127.0.0.1:3000.
func parseTarget(s string) (string, error) {
	if n, err := strconv.Atoi(s); err == nil {
		if n < 1 || n > 65535 {
			return "", usagef("%d is not a port: ports are 1 to 65535", n)
		}
		return net.JoinHostPort("127.0.0.1", s), nil
	}
	if strings.HasPrefix(s, "unix:/") {
		return s, nil
	}
	if host, port, err := net.SplitHostPort(s); err == nil && host != "" && port != "" {
		return s, nil
	}
	return "", usagef("%q is neither a port, nor host:port, nor unix:/path", s)
}
