package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

// maxModuleConfig bounds the configuration of a filter that is given with a push:
// it travels in a URL.
const maxModuleConfig = 16 << 10

func (k *kind) runPush(g *globals, cmd *cobra.Command, name, path string, use api.Use) error {
	v, err := k.upload(g, cmd, name, path, use)
	if err != nil {
		return err
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
	if err == nil && len(v.Routes) == 0 && !use.DryRun {
		k.unused(g, cmd, name, path)
	}
	return err
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
	case dry && len(v.Routes) == 0:
		s += "is right, and would be on no route yet"
	case dry:
		s += "is right, and would be live on " + routes
	case !v.Live:
		s += "is stored"
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
