package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newCapture(g *globals) *cobra.Command {
	var asked api.CaptureRequest
	var path string
	cmd := &cobra.Command{
		Use:   "capture",
		Short: "Record the next exchanges, to try modules with",
		Long: `Record the exchanges that come next, and save them: the request as the route's filters get it, the response as
they get it, and the answer as the client does, a line of JSON each. sluice filter test --replay runs a module on
them. It ends by itself, and when you stop it; what has come until then is saved.

The values of cookies, of authorization, of what log.redact names and of what is called a token, a password or the
like are left out, in fields and in queries. Content is not recorded without --bodies, and is looked through for
such secrets where it is a form or JSON, and not compressed.`,
		Example: `  sluice capture --route 'shop/api/*' --count 50 -o api.jsonl
  sluice capture --status 5xx --for 10m --bodies 64KB -o errors.jsonl
  sluice capture --filter auth --count 1`,
		Args: positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.ask(func(c *api.Client) error { return g.capture(cmd, c, asked, path) })
		},
	}
	f := cmd.Flags()
	f.StringVar(&asked.Route, "route", "", "of this `route` only, as SITE/PATH, or of a site")
	f.StringVar(&asked.Method, "method", "", "with this `method` only")
	f.StringVar(&asked.Path, "path", "", "with this `path` only; with * at its end, what it begins with")
	f.StringVar(&asked.Status, "status", "", "answered with this `status` only: 404, or 5xx")
	f.StringVar(&asked.Filter, "filter", "", "that this `filter` has run on only")
	f.IntVar(&asked.Count, "count", 100, "`number` of exchanges after which it ends, at most 1000")
	f.StringVar(&asked.For, "for", "1m", "`time` after which it ends, at most 1h")
	f.StringVar(&asked.Bodies, "bodies", "off", "record so much of each content: a `size` such as 64KB, at most 1MB")
	f.StringVarP(&path, "output", "o", "", "the `file` to save them in (default standard output)") // in the place of the global one
	cmd.RegisterFlagCompletionFunc("route", g.complete(every(routeNames)))
	return cmd
}

// capture records and saves.
func (g *globals) capture(cmd *cobra.Command, c *api.Client, asked api.CaptureRequest, path string) (err error) {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
	defer stop()
	out := cmd.OutOrStdout()
	if path != "" {
		file, problem := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it is what people have sent
		if problem != nil {
			return problem
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		out = file
	}
	told, err := c.StartCapture(ctx, asked)
	if err != nil {
		return err
	}
	// What is saved need not stay in the proxy; what was stopped ends there too.
	defer c.RemoveCapture(context.WithoutCancel(ctx), told.ID)
	lines, err := c.Captured(ctx, told.ID, true)
	if err != nil {
		return err
	}
	defer lines.Close()
	n, err := g.save(cmd, out, lines, told)
	switch {
	case ctx.Err() != nil:
		err = nil // it was stopped
	case err != nil:
		return err
	}
	if path != "" {
		g.note(cmd, "%s: %s", path, text.Plural(uint64(n), "exchange"))
	}
	if n == 0 {
		g.note(cmd, "Nothing has come that was asked for.")
	}
	return err
}

// save copies lines as they come, and shows on a terminal how many have.
func (g *globals) save(cmd *cobra.Command, w io.Writer, lines io.Reader, told api.Capture) (n int, err error) {
	show := func() {}
	if columns := g.width(cmd.ErrOrStderr()); columns > 0 && !g.quiet && smart() && w != cmd.OutOrStdout() {
		show = func() {
			left := max(0, told.Ends.Sub(g.now())).Round(time.Second)
			fmt.Fprintf(cmd.ErrOrStderr(), "\r%s\x1b[K", text.Cut(fmt.Sprintf("captured %d of %d, %s left; Ctrl-C ends it", n, told.Asked.Count, left), columns-1))
		}
		defer func() { fmt.Fprint(cmd.ErrOrStderr(), "\r\x1b[K") }()
	}
	r := bufio.NewReader(lines)
	for show(); ; show() {
		line, err := r.ReadString('\n')
		if err == nil {
			if _, err = io.WriteString(w, escapeJSON(line)); err != nil {
				return n, err
			}
			n++
			continue
		}
		if errors.Is(err, io.EOF) && strings.TrimSpace(line) == "" {
			err = nil
		} else {
			err = fmt.Errorf("the capture has broken off: %w", err)
		}
		return n, err
	}
}
