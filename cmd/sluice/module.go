package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/scaffold"
	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// kind is filters or functions: what their commands differ in.
type kind struct {
	noun    string // "filter"
	command string // "sluice filter"
	flag    string // of push, that names a route: "on"
	project scaffold.Kind

	push   func(c *api.Client, ctx context.Context, name string, module io.Reader, size int64, use api.Use, progress func(int64)) (api.ModuleVersion, error)
	back   func(c *api.Client, ctx context.Context, name string) (api.ModuleVersion, error)
	remove func(c *api.Client, ctx context.Context, name string) error
	deploy func(c *api.Client, ctx context.Context, name string, change api.DeploymentChange, how api.Change) (api.Deployment, error)
	shadow func(c *api.Client, ctx context.Context, name string) (api.Shadow, error)
	list   func(ctx context.Context, c *api.Client) (all any, modules []module, err error)
	get    func(ctx context.Context, c *api.Client, name string) (one any, m module, err error)
}

// module is what filters and functions have in common.
type module struct {
	name     string
	live     int
	routes   []string
	runs     uint64
	running  string // "" of a filter
	failures uint64
	versions []api.ModuleVersion

	schedule   *api.Schedule // nil: only requests run it
	deployment api.Deployment
	damage     string
}

func ofFilter(f api.Filter) module {
	return module{f.Name, f.Live, f.Routes, f.Runs, "", f.Failures, f.Versions, nil, f.Deployment, f.Damage}
}

func ofFunction(f api.Function) module {
	return module{f.Name, f.Live, f.Routes, f.Runs, strconv.Itoa(f.Running), f.Failures, f.Versions, f.Schedule, f.Deployment, f.Damage}
}

func modulesOf[T any](of func(T) module, list []T) []module {
	var all []module
	for _, v := range list {
		all = append(all, of(v))
	}
	return all
}

// moduleTable returns a table of filters or functions, under a heading.
func moduleTable(head string, modules []module) *text.Table {
	t := text.NewTable(head, "LIVE", ">?VERSIONS", ">RUNS", ">?RUNNING", ">FAILURES", "?ROUTES")
	for _, m := range modules {
		t.Add(m.name, servesText(m), strconv.Itoa(len(m.versions)), text.Count(m.runs), m.running, text.Count(m.failures), text.Or(strings.Join(m.routes, ", ")))
	}
	return t
}

// servesText says which versions serve, with their shares if there are two, and whether
// something is wrong.
func servesText(m module) string {
	switch {
	case m.damage != "":
		return "damaged"
	case m.deployment.RolledBack != nil:
		return liveText(m.live) + ", rolled back"
	}
	if len(m.deployment.Versions) < 2 && m.deployment.Shadow == 0 {
		return liveText(m.live)
	}
	return deploymentText(m.deployment)
}

func liveText(version int) string {
	if version == 0 {
		return "-"
	}
	return "@" + strconv.Itoa(version)
}

func (k *kind) newList(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List the " + k.noun + "s",
		Long: fmt.Sprintf(`List the %ss of the running proxy: those of the configuration, and those that were uploaded. RUNS and
FAILURES count since the proxy was started.`, k.noun),
		Example: fmt.Sprintf("  %s list\n  %s list -o json", k.command, k.command),
		Args:    positional,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.ask(func(c *api.Client) error {
				all, modules, err := k.list(cmd.Context(), c)
				if err != nil {
					return err
				}
				return g.show(cmd, all, func(out *screen) error {
					if len(modules) == 0 {
						g.note(cmd, "There are no %ss. Upload one: %s push NAME FILE --%s SITE/PATH", k.noun, k.command, k.flag)
					}
					return out.tables(moduleTable(strings.ToUpper(k.noun), modules), scheduleTable(g.now(), modules))
				})
			})
		},
	}
}

func (k *kind) newShow(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME",
		Short: "Show a " + k.noun + " and the versions of its module",
		Long: fmt.Sprintf(`Show the routes that a %s serves, and every version of its module: its age, size and digest, and which
one is live. With -v, digests are whole, and the host functions that a version uses are shown too.`, k.noun),
		Example:           fmt.Sprintf("  %s show hello\n  %s show hello -v", k.command, k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				one, m, err := k.get(cmd.Context(), c, args[0])
				if err != nil {
					return err
				}
				return g.show(cmd, one, func(out *screen) error { return k.showModule(g, cmd, out, m) })
			})
		},
	}
}

func (k *kind) showModule(g *globals, cmd *cobra.Command, out *screen, m module) error {
	out.printf("%s  live %s, %s, %s", out.paint.In(text.Bold, text.Printable(m.name)), liveText(m.live), text.Plural(m.runs, "run"), text.Plural(m.failures, "failure"))
	if m.running != "" {
		out.printf(", %s running", m.running)
	}
	if out.printf("\n"); len(m.routes) > 0 {
		lead := "on "
		for _, line := range text.Wrap(text.Printable(strings.Join(m.routes, ", ")), max(0, out.columns-len(lead))) {
			out.printf("%s%s\n", lead, line)
			lead = "   "
		}
	} else {
		out.printf("on no route\n")
	}
	showSchedule(g, out, m.schedule)
	if m.damage != "" {
		wrapped(out, "damaged: ", text.Printable(m.damage))
	}
	if err := showDeployment(g, out, m.deployment); err != nil {
		return err
	}
	t := text.NewTable("VERSION", "", "ABI", ">SIZE", ">AGE", "?DIGEST", "SOURCE", "??IMPORTS")
	for _, v := range m.versions {
		live, digest, imports := "", shortDigest(v.Digest), ""
		switch {
		case v.Live && v.Percent > 0 && v.Percent < 100:
			live = text.Percent(v.Percent)
		case v.Live:
			live = "live"
		case v.Shadow:
			live = "shadow"
		}
		if g.verbose {
			digest, imports = v.Digest, strings.Join(v.Imports, " ")
		}
		t.Add("@"+strconv.Itoa(v.Version), live, v.ABI, text.Bytes(v.Bytes), text.Age(g.now().Sub(v.Uploaded)), digest, text.Or(v.Source), imports)
	}
	if t.Len() > 0 {
		out.printf("\n")
	}
	if err := out.tables(t); err != nil {
		return err
	}
	if len(m.routes) == 0 && m.schedule == nil {
		k.unused(g, cmd, m.name, "FILE")
	}
	return nil
}

// unused tells how a module that no route uses is put to use.
func (k *kind) unused(g *globals, cmd *cobra.Command, name, file string) {
	g.note(cmd, "Put it to use: %s push %s %s --%s SITE/PATH", k.command, quoteArg(name), quoteArg(file), k.flag)
}

// quoteArg returns an argument as a shell takes it.
func quoteArg(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./@:%+,=", r)
	}
	if s != "" && strings.TrimFunc(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(text.Printable(s), "'", `'\''`) + "'"
}

// shortDigest returns enough of a digest to tell versions apart.
func shortDigest(d string) string {
	d = strings.TrimPrefix(d, "sha256:")
	return d[:min(len(d), 12)]
}

func (k *kind) newRemove(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "rm NAME",
		Aliases: []string{"remove"},
		Short:   "Remove a " + k.noun + " with all versions that were uploaded",
		Long: fmt.Sprintf(`Remove all versions that were uploaded of a %s, and what push has changed of routes for its sake. A %s
that the configuration file has is the one of the file again.`, k.noun, k.noun),
		Example:           fmt.Sprintf("  %s rm hello", k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				if err := k.remove(c, cmd.Context(), args[0]); err != nil {
					return err
				}
				if g.output == "table" && !g.quiet {
					g.out(cmd).printf("%s is removed\n", text.Printable(args[0]))
				}
				return nil
			})
		},
	}
}

func (k *kind) newBack(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "back NAME",
		Short: "Go back to the version that was live before",
		Long: fmt.Sprintf(`Make the version of a %s live that was so before the one that is. Routes that name a version, as in
%s@3, keep it.`, k.noun, "hello"),
		Example:           fmt.Sprintf("  %s back hello", k.command),
		Args:              positional,
		ValidArgsFunction: g.complete(first(k.names)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				v, err := k.back(c, cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return g.done(cmd, v, func(out *screen) error {
					out.printf("%s\n", pushText(v, false))
					return nil
				})
			})
		},
	}
}

func (k *kind) newNew(g *globals) *cobra.Command {
	var lang, dir string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Write a project that makes a " + k.noun,
		Long: fmt.Sprintf(`Write a project for a %s into a new directory: its source, a test, a configuration file to try it with, and
build.sh, which builds it. Nothing is fetched, since the SDK's source is part of the project; only in
AssemblyScript build.sh has npm fetch the compiler.`, k.noun),
		Example: fmt.Sprintf("  %s new hello\n  %s new hello --lang c --dir src/hello", k.command, k.command),
		Args:    positional,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := args[0]
			if !slices.Contains(scaffold.Langs(), scaffold.Lang(lang)) {
				return usagef("--lang %q is none of go, c, rust and as", lang)
			}
			if dir == "" {
				dir = name
			}
			if err := scaffold.New(dir, name, k.project, scaffold.Lang(lang)); err != nil {
				return err
			}
			made := struct {
				Name string `json:"name"`
				Lang string `json:"lang"`
				Dir  string `json:"dir"`
			}{name, lang, dir}
			return g.done(cmd, made, func(out *screen) error {
				out.printf("%s is in %s. Build it, and put it to use:\n\n", text.Printable(name), text.Printable(dir))
				out.printf("  cd %s && ./build.sh\n  %s push %s %s.wasm --%s SITE/PATH", quoteArg(dir), k.command, name, name, k.flag)
				if config := scaffold.Config(k.project, scaffold.Lang(lang)); config != "" {
					out.printf(" --config %s", quoteArg(config))
				}
				out.printf("\n")
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "`language`: go, c, rust or as (AssemblyScript)")
	cmd.Flags().StringVar(&dir, "dir", "", "`directory` of the project (default the name)")
	cmd.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions([]string{"go", "c", "rust", "as"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.MarkFlagDirname("dir")
	return cmd
}
