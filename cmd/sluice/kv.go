package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
	"github.com/sluice-edge/sluice/edge/admin/api"
)

func newKV(g *globals) *cobra.Command {
	c := &cobra.Command{
		Use:   "kv",
		Short: "Read and write what modules keep",
		Long: `Modules keep values by key, in namespaces that the configuration allows them (allow: { kv: [NAMESPACE] }).
They last over restarts. A key has a version, which changes with each write.`,
		Example: `  sluice kv list                              the namespaces
  sluice kv set flags new-checkout on         for modules that may use flags
  sluice kv get flags new-checkout`,
		Args: positional,
		RunE: needVerb,
	}
	c.AddCommand(newKVGet(g), newKVList(g), newKVRemove(g), newKVSet(g))
	return c
}

func namespaceNames(ctx context.Context, c *api.Client) ([]string, error) {
	all, err := c.Namespaces(ctx)
	var names []string
	for _, n := range all {
		names = append(names, n.Name)
	}
	return names, err
}

func newKVList(g *globals) *cobra.Command {
	var prefix, after string
	var limit int
	cmd := &cobra.Command{
		Use:     "list [NAMESPACE]",
		Aliases: []string{"ls"},
		Short:   "List the namespaces, or the keys of one",
		Long: `List the namespaces that have keys, and how much they have; or the keys of one, in the order of their bytes,
without their values.`,
		Example: `  sluice kv list
  sluice kv list sessions --prefix user: --limit 20
  sluice kv list sessions --limit 0 -o json     all of them`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(namespaceNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case limit < 0:
				return usagef("--limit %d is no number of keys", limit)
			case len(args) == 0 && (prefix != "" || after != "" || cmd.Flags().Changed("limit")):
				return usagef("--prefix, --after and --limit are for the keys of a namespace: name one")
			}
			return g.ask(func(c *api.Client) error {
				if len(args) == 0 {
					return g.listNamespaces(cmd, c)
				}
				return g.listKeys(cmd, c, args[0], prefix, after, limit)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&prefix, "prefix", "", "only keys that begin with this `text`")
	f.StringVar(&after, "after", "", "only keys that come behind this `key`")
	f.IntVar(&limit, "limit", 1000, "`number` of keys at most; 0: all")
	return cmd
}

func (g *globals) listNamespaces(cmd *cobra.Command, c *api.Client) error {
	all, err := c.Namespaces(cmd.Context())
	if err != nil {
		return err
	}
	return g.show(cmd, list(all), func(out *screen) error {
		if len(all) == 0 {
			g.note(cmd, "No module keeps anything yet.")
		}
		t := text.NewTable("NAMESPACE", ">KEYS", ">SIZE")
		for _, n := range all {
			t.Add(n.Name, text.Count(uint64(n.Keys)), text.Bytes(n.Bytes))
		}
		return out.tables(t)
	})
}

func (g *globals) listKeys(cmd *cobra.Command, c *api.Client, namespace, prefix, after string, limit int) error {
	all := api.Keys{Keys: []api.Key{}, Next: after}
	for {
		n := 0 // as many as the API tells of at a time
		if limit > 0 {
			n = min(limit-len(all.Keys), maxKeysAsked)
		}
		part, err := c.Keys(cmd.Context(), namespace, prefix, all.Next, n)
		if err != nil {
			return err
		}
		all.Keys, all.Next = append(all.Keys, part.Keys...), part.Next
		if all.Next == "" || limit > 0 && len(all.Keys) >= limit {
			break
		}
	}
	return g.show(cmd, all, func(out *screen) error {
		if len(all.Keys) == 0 {
			g.note(cmd, "There are no such keys.")
		}
		t := text.NewTable("KEY", ">SIZE", ">?VERSION", ">EXPIRES IN")
		for _, k := range all.Keys {
			t.Add(k.Key, text.Bytes(int64(k.Bytes)), strconv.FormatInt(k.Version, 10), g.expiryText(k))
		}
		err := out.tables(t)
		if all.Next != "" {
			g.note(cmd, "There are more, behind %s: --limit says how many are listed.", text.Printable(strconv.Quote(all.Next)))
		}
		return err
	})
}

// maxKeysAsked is how many keys the API tells of at a time.
const maxKeysAsked = 1000

// expiryText says in what time a key expires; "" if it does not.
func (g *globals) expiryText(k api.Key) string {
	if k.Expires == nil {
		return ""
	}
	return text.Age(k.Expires.Sub(g.now()))
}

// keyText is what is said of a key beside its value.
func (g *globals) keyText(k api.Key) string {
	s := fmt.Sprintf("version %d, %s", k.Version, text.Bytes(int64(k.Bytes)))
	if k.Expires != nil {
		s += ", expires in " + g.expiryText(k)
	}
	return s
}

// valueOfKey is a key with its value, for programs.
type valueOfKey struct {
	api.Key
	Value  *string `json:"value,omitempty"`  // if it is text
	Base64 []byte  `json:"base64,omitempty"` // otherwise
}

func newKVGet(g *globals) *cobra.Command {
	var include bool
	cmd := &cobra.Command{
		Use:   "get NAMESPACE KEY",
		Short: "Print the value of a key",
		Long: `Print the value of a key as it is; on a terminal, what could steer that is escaped. With -i, its version and
when it expires go to standard error. -o json prints all of it; a value that is no text is in base64.`,
		Example: `  sluice kv get flags new-checkout
  sluice kv get -i flags new-checkout
  sluice kv get models current > model.bin`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(namespaceNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.ask(func(c *api.Client) error {
				k, value, err := c.Value(cmd.Context(), args[0], args[1])
				if err != nil {
					return err
				}
				all := valueOfKey{Key: k}
				if utf8.Valid(value) {
					s := string(value)
					all.Value = &s
				} else {
					all.Base64 = value
				}
				return g.show(cmd, all, func(out *screen) error {
					if include {
						fmt.Fprintln(cmd.ErrOrStderr(), g.keyText(k))
					}
					if out.columns > 0 { // a terminal
						value = []byte(strings.TrimSuffix(text.Lines(string(value)), "\n") + "\n")
					}
					_, err := out.Write(value)
					return err
				})
			})
		},
	}
	cmd.Flags().BoolVarP(&include, "include", "i", false, "say its version and when it expires, too")
	return cmd
}

// conditions adds the flags of a command that changes a key.
func conditions(f *pflag.FlagSet, change *api.KeyChange) {
	f.Int64Var(&change.Version, "if-version", 0, "only if it has this `version`, as kv get -i says")
	f.BoolVar(&change.DryRun, "dry-run", false, "say whether it could be done, and change nothing")
}

func checkConditions(f *pflag.FlagSet, change api.KeyChange) error {
	switch given := f.Changed("if-version"); {
	case given && change.Version < 1:
		return usagef("--if-version %d: versions are numbers from 1", change.Version)
	case given && change.Absent:
		return usagef("--if-absent and --if-version exclude each other")
	case f.Changed("ttl") && change.TTL <= 0:
		return usagef("--ttl %s is no time to come", change.TTL)
	}
	return nil
}

func newKVSet(g *globals) *cobra.Command {
	var change api.KeyChange
	cmd := &cobra.Command{
		Use:   "set NAMESPACE KEY VALUE",
		Short: "Give a key a value",
		Long: `Give a key a value, whether it had one or not: a text, @FILE for what a file has, or - for what standard input
has. --if-version and --if-absent keep it from undoing what somebody else has done meanwhile: the command
fails then. When it returns, the value is on the disk.`,
		Example: `  sluice kv set flags new-checkout on
  sluice kv set sessions user:7 @session.json --ttl 30m
  sluice kv set flags new-checkout off --if-version 41`,
		Args:              positional,
		ValidArgsFunction: g.complete(first(namespaceNames), candidates{at: 2}),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkConditions(cmd.Flags(), change); err != nil {
				return err
			}
			value, err := keyValue(cmd.InOrStdin(), args[2])
			if err != nil {
				return err
			}
			return g.ask(func(c *api.Client) error {
				k, err := c.SetKey(cmd.Context(), args[0], args[1], value, change)
				if err != nil {
					return err
				}
				if change.DryRun {
					g.note(cmd, "It could be set.")
					return nil
				}
				return g.done(cmd, k, func(out *screen) error {
					out.printf("%s %s: %s\n", text.Printable(args[0]), text.Printable(args[1]), g.keyText(k))
					return nil
				})
			})
		},
	}
	f := cmd.Flags()
	f.DurationVar(&change.TTL, "ttl", 0, "`time` after which it expires, such as 30m (default never)")
	f.BoolVar(&change.Absent, "if-absent", false, "only if there is no such key")
	conditions(f, &change)
	return cmd
}

// keyValue returns what an argument stands for.
func keyValue(stdin io.Reader, arg string) (value []byte, err error) {
	from, r := "standard input", stdin
	switch path, isFile := strings.CutPrefix(arg, "@"); {
	case isFile:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		from, r = path, f
	case arg != "-":
		from, r = "the value", strings.NewReader(arg)
	}
	value, err = io.ReadAll(io.LimitReader(r, api.MaxValue+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", from, err)
	case len(value) > api.MaxValue:
		return nil, usagef("%s is larger than %s", from, text.Bytes(api.MaxValue))
	}
	return value, nil
}

func newKVRemove(g *globals) *cobra.Command {
	var change api.KeyChange
	cmd := &cobra.Command{
		Use:               "rm NAMESPACE KEY",
		Aliases:           []string{"remove"},
		Short:             "Remove a key",
		Long:              `Remove a key. A namespace is there as long as it has keys.`,
		Example:           "  sluice kv rm flags new-checkout\n  sluice kv rm flags new-checkout --if-version 41",
		Args:              positional,
		ValidArgsFunction: g.complete(first(namespaceNames)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkConditions(cmd.Flags(), change); err != nil {
				return err
			}
			return g.ask(func(c *api.Client) error {
				if err := c.RemoveKey(cmd.Context(), args[0], args[1], change); err != nil {
					return err
				}
				switch {
				case change.DryRun:
					g.note(cmd, "It could be removed.")
				case g.output == "table" && !g.quiet:
					g.out(cmd).printf("%s %s is removed\n", text.Printable(args[0]), text.Printable(args[1]))
				}
				return nil
			})
		},
	}
	conditions(cmd.Flags(), &change)
	return cmd
}
