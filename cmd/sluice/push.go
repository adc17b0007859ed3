package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// maxModuleConfig bounds the configuration of a filter that is given with a push:
// it travels in a URL.
const maxModuleConfig = 16 << 10

// pushTo is what an upload gets instead of all of the traffic.
type pushTo struct {
	percent       string
	shadow, store bool
}

func (to *pushTo) flags(f *pflag.FlagSet) {
	f.StringVar(&to.percent, "percent", "", "`share` of the traffic that it gets; without it all, at once")
	f.BoolVar(&to.shadow, "shadow", false, "it gets copies of the traffic only")
	f.BoolVar(&to.store, "store", false, "it serves nothing yet")
}

// asked returns what the upload is to get, if that is not all.
func (to *pushTo) asked(use api.Use) (r rolled, some bool, err error) {
	n := 0
	for _, is := range []bool{to.percent != "", to.shadow, to.store} {
		if is {
			n++
		}
	}
	switch {
	case n > 1:
		return r, false, usagef("--percent, --shadow and --store exclude each other")
	case n == 1 && (use.Route != "" || use.Config != ""):
		return r, false, usagef("what is put to use serves alone: push it with --store, --percent or --shadow once it is in use")
	case to.percent != "":
		r, err = parseRoll(to.percent)
		if err == nil && r.shadow {
			err = usagef("--percent %q is no share", to.percent)
		}
	case to.shadow:
		r.shadow = true
	}
	return r, n == 1, err
}

func (k *kind) runPush(g *globals, cmd *cobra.Command, name, path string, use api.Use, to pushTo) error {
	part, some, err := to.asked(use)
	if err != nil {
		return err
	}
	use.Store = some
	v, err := k.upload(g, cmd, name, path, use)
	if err != nil {
		return err
	}
	if some && !to.store && !use.DryRun {
		return k.rollPushed(g, cmd, name, v, part)
	}
	if g.output == "table" { // for programs they are in the answer
		for _, w := range v.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s\n", text.Printable(w))
		}
	}
	err = g.done(cmd, v, func(out *screen) error {
		out.printf("%s\n", pushText(v, use.DryRun))
		return nil
	})
	if err == nil && len(v.Routes) == 0 && len(v.Warnings) > 0 && !use.DryRun && !some {
		k.unused(g, cmd, name, path)
	}
	return err
}

// rollPushed gives what has been uploaded its part of the traffic.
func (k *kind) rollPushed(g *globals, cmd *cobra.Command, name string, v api.ModuleVersion, part rolled) error {
	return g.ask(func(c *api.Client) error {
		_, m, err := k.get(cmd.Context(), c, name)
		if err != nil {
			return err
		}
		var d api.Deployment
		next, err := roll(m.deployment, v.Version, part)
		if err == nil {
			d, err = k.deploy(c, cmd.Context(), name, next, api.Change{})
		}
		if err != nil {
			return fmt.Errorf("%s @%d is stored, and serves nothing yet: %w", name, v.Version, err)
		}
		return g.done(cmd, d, func(out *screen) error {
			out.printf("%s %s\n", text.Printable(name), deploymentText(d))
			return nil
		})
	})
}

func (k *kind) upload(g *globals, cmd *cobra.Command, name, path string, use api.Use) (v api.ModuleVersion, err error) {
	file, err := os.Open(path)
	if err != nil {
		return v, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return v, err
	}
	if !info.Mode().IsRegular() {
		return v, usagef("%s is not a file", path)
	}
	err = g.ask(func(c *api.Client) error {
		var report func(int64)
		if bar := g.progress(cmd, "upload "+name, info.Size()); bar != nil {
			defer bar.clear()
			report = bar.set
		}
		v, err = k.push(c, cmd.Context(), name, io.LimitReader(file, info.Size()), info.Size(), use, report)
		return err
	})
	return v, err
}

// pushText says what has become of a version.
func pushText(v api.ModuleVersion, dry bool) string {
	s := fmt.Sprintf("%s @%d ", text.Printable(v.Filter+v.Function), v.Version)
	if dry {
		s = text.Printable(v.Filter+v.Function) + " "
	}
	routes := text.Printable(strings.Join(v.Routes, ", "))
	switch {
	case dry && v.Version == 0 && v.Routes == nil && v.Warnings == nil:
		s += "is right"
	case dry && len(v.Routes) == 0:
		s += "is right, and would be on no route yet"
	case dry:
		s += "is right, and would be live on " + routes
	case !v.Live:
		s += "is stored, and serves nothing yet"
	case len(v.Routes) == 0:
		s += "is live, on no route yet"
	default:
		s += "is live on " + routes
	}
	s += fmt.Sprintf(" (%s, %s", text.Printable(v.ABI), text.Bytes(v.Bytes))
	if v.CompileMS > 0 {
		s += fmt.Sprintf(", compiled in %.1f ms", v.CompileMS)
	}
	return s + ")"
}

// valueOf returns what a flag says: a text, or @FILE for that of a file.
func valueOf(flag, value string, most int64) (string, error) {
	path, isFile := strings.CutPrefix(value, "@")
	if !isFile {
		return value, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("--%s: %w", flag, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("--%s: %w", flag, err)
	case int64(len(b)) > most:
		return "", usagef("--%s: %s is larger than %s", flag, path, text.Bytes(most))
	}
	return string(b), nil
}
