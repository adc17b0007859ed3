package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/cmd/sluice/internal/text"
)

// Every command says what it does and has examples, and each example is a command
// line that is understood.
func TestExamples(t *testing.T) {
	for _, c := range visible(newRoot()) {
		if c.Short == "" || c.Long == "" || c.Example == "" {
			t.Errorf("%s: want a short text, a long one, and examples", c.CommandPath())
		}
		if strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q ends with a period", c.CommandPath(), c.Short)
		}
		for line := range strings.Lines(c.Example) {
			if !strings.HasPrefix(line, "  sluice ") || text.Width(strings.TrimSuffix(line, "\n")) > 80 {
				t.Errorf("%s: want an example of at most 80 columns, with two blanks before it: %q", c.CommandPath(), line)
				continue
			}
			if err := parses(strings.TrimPrefix(strings.TrimSpace(line), "sluice ")); err != nil {
				t.Errorf("%s: %q: %v", c.CommandPath(), line, err)
			}
		}
	}
}

// parses reports what is wrong with a command line. A note may follow it, after
// several blanks.
func parses(line string) error {
	if i := strings.Index(line, "   "); i >= 0 {
		line = line[:i]
	}
	line, _, _ = strings.Cut(line, "  ")
	if i := strings.LastIndex(line, " >"); i >= 0 && !strings.ContainsAny(line[i:], `"'`) {
		line = line[:i] // where the output goes
	}
	root := newRoot()
	cmd, args, err := root.Find(splitWords(line))
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(args); err != nil {
		return err
	}
	if cmd.HasSubCommands() {
		return fmt.Errorf("%s needs a command", cmd.CommandPath())
	}
	return cmd.ValidateArgs(cmd.Flags().Args())
}

// splitWords returns the words of a command line, which may stand in quotes.
func splitWords(line string) []string {
	var words []string
	word, quote, begun := "", rune(0), false
	for _, r := range line + " " {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, begun = r, true
		case quote == 0 && r == ' ':
			if begun {
				words = append(words, word)
			}
			word, begun = "", false
		default:
			word, begun = word+string(r), true
		}
	}
	return words
}

// The help of every command fits the terminal; that of some is in testdata/help.
func TestHelp(t *testing.T) {
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	for _, c := range visible(newRoot()) {
		path := strings.Fields(c.CommandPath())[1:]
		for _, columns := range []int{80, 200} {
			out := sluiceAt(t, columns, append(path, "--help")...)
			plain := colourCode.ReplaceAllString(out, "")
			for line := range strings.Lines(plain) {
				if n := text.Width(strings.TrimSuffix(line, "\n")); n > columns {
					t.Errorf("%s: %d columns, want at most %d: %s", c.CommandPath(), n, columns, line)
				}
			}
			if out == plain {
				t.Errorf("%s: no colours", c.CommandPath())
			}
			t.Setenv("NO_COLOR", "1")
			if without := sluiceAt(t, columns, append(path, "--help")...); without != plain {
				t.Errorf("%s: without colours got\n%s\nwant\n%s", c.CommandPath(), without, plain)
			}
			t.Setenv("NO_COLOR", "")
			if len(path) == 0 || c.Name() == "push" {
				golden(t, filepath.Join("help", fmt.Sprintf("%s-%d.txt", strings.Join(append([]string{"sluice"}, path...), "-"), columns)), strings.ReplaceAll(out, "\x1b", "␛"))
			}
		}
	}
}

// reference is docs/reference/cli.md.
func reference(root *cobra.Command) string {
	var b strings.Builder
	b.WriteString(`# Command line

Made from the commands by a test of cmd/sluice; do not edit it. ` + "`sluice man DIRECTORY`" + ` writes the same as manual
pages, and ` + "`sluice completion`" + ` what a shell needs to complete it.

The environment: ` + "`SLUICE_ADMIN` and `SLUICE_TOKEN`" + ` stand for ` + "`--admin` and `--token`, `SLUICE_CONFIG`" + ` for the configuration
file; ` + "`NO_COLOR`" + ` takes colours away, as does ` + "`TERM=dumb`" + `, and with it progress bars.

| Exit code | |
|---|---|
| 0 | done |
| 1 | failed while running |
| 2 | bad usage or bad configuration |
| 3 | the admin API is out of reach |
| 4 | a check found something |
`)
	table := func(head string, rows []helpRow) {
		if len(rows) == 0 {
			return
		}
		fmt.Fprintf(&b, "\n| %s | |\n|---|---|\n", head)
		for _, r := range rows {
			fmt.Fprintf(&b, "| `%s` | %s |\n", strings.TrimSpace(r.name), strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(r.said))
		}
	}
	table("Flags of every command", flagRows(root.PersistentFlags()))
	for _, c := range visible(root) {
		fmt.Fprintf(&b, "\n## %s\n\n", c.CommandPath())
		for _, line := range paragraphs(c.Long, 120) {
			b.WriteString(line + "\n")
		}
		fmt.Fprintf(&b, "\n```\n%s\n```\n", strings.Join(usage(c), "\n"))
		fmt.Fprintf(&b, "\nExamples:\n\n```\n%s\n```\n", strings.ReplaceAll(strings.TrimPrefix(c.Example, "  "), "\n  ", "\n"))
		for _, g := range groups(c) {
			table(g.title, g.rows)
		}
		if c.HasParent() {
			table("Flags", flagRows(c.LocalNonPersistentFlags()))
		}
	}
	return b.String()
}

func TestReference(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "reference", "cli.md")
	got := reference(newRoot())
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Error("docs/reference/cli.md is not what the commands say: go test ./cmd/sluice -run Reference -update")
	}
}

// Every command has a page, and every line of it is text or a request that man(7)
// has.
func TestMan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if out := sluice(t, "man", dir); !strings.Contains(out, "exit 0") {
		t.Fatal(out)
	}
	for _, c := range visible(newRoot()) {
		name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		page, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for line := range strings.Lines(string(page)) {
			request, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch request {
			case ".TH", ".SH", ".TP", ".PP", ".B", ".BR", ".nf", ".fi":
			default:
				if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
					t.Errorf("%s: %q", name, line)
				}
			}
		}
		if !strings.Contains(string(page), ".SH NAME\n") || !strings.Contains(string(page), ".SH EXAMPLES\n") {
			t.Errorf("%s has no name or no examples", name)
		}
	}
	if roff(`.a\b-c`) != `\&.a\eb\-c` || roffQuote(`a "b"`) != `"a \(dqb\(dq"` {
		t.Errorf("got %s, %s", roff(`.a\b-c`), roffQuote(`a "b"`))
	}
}

// Completion asks the running proxy, and offers nothing that a shell may act upon.
func TestCompletion(t *testing.T) {
	server := fakeAPI(t)
	t.Setenv("SLUICE_ADMIN", server.URL)
	t.Setenv("SLUICE_TOKEN", "")
	f := func(want string, args ...string) {
		t.Helper()
		var out bytes.Buffer
		root := newRootOf(&globals{now: func() time.Time { return now }, width: func(io.Writer) int { return 0 }})
		root.SetOut(&out)
		root.SetErr(io.Discard)
		execute(root, append([]string{"__complete"}, args...))
		if out.String() != want {
			t.Errorf("%q: got %q, want %q", args, &out, want)
		}
	}
	f("auth\ncanary\nleft\nback\n:4\n", "filter", "show", "") // and not evil
	f("hello\n:4\n", "fn", "show", "h")
	f("wasm\n:8\n", "filter", "push", "auth", "")
	f(":4\n", "filter", "show", "auth", "")
	f("shop/\nshop/checkout\nshop/hello\n:4\n", "filter", "push", "auth", "x.wasm", "--on", "shop")
	f("shop\napi.example.com\n:4\n", "routes", "--site", "")
	f("checkout\n:4\n", "split", "")
	f("flags\nsessions\n:4\n", "kv", "get", "") // and not evil
	f(":4\n", "kv", "get", "flags", "")
	f(":8\n", "kv", "set", "flags", "k", "")
	f("yaml\nyml\n:8\n", "check", "")
	f("yaml\nyml\n:8\n", "run", "-c", "")
	f("table\njson\nyaml\n:4\n", "status", "-o", "")
	f(":16\n", "man", "")
	t.Setenv("SLUICE_ADMIN", "http://127.0.0.1:1")
	f(":4\n", "filter", "show", "")
	for _, name := range []string{"$(reboot)", "`x`", "a;b", "a\nb", "a\tb", "a'b", "", "日"} {
		if harmless(name) {
			t.Errorf("%q is no name for a shell", name)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := sluice(t, "completion", shell); !strings.Contains(out, "sluice") || !strings.HasSuffix(out, "exit 0\n") {
			t.Errorf("%s: got %s", shell, out)
		}
	}
}
