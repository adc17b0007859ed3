package api

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/reference/api.md anew")

const referenceFile = "../../../docs/reference/api.md"

// TestReference wants the reference to say what the source says.
func TestReference(t *testing.T) {
	got := reference(t)
	if *update {
		if err := os.WriteFile(referenceFile, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(referenceFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the source says: run go test ./edge/admin/api -run TestReference -update", referenceFile)
	}
}

// reference renders the package's documentation for those who use the API without
// Go: its resources, and the objects by their names in JSON.
func reference(t *testing.T) []byte {
	fset := token.NewFileSet()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, e.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	pkg, err := doc.NewFromFiles(fset, files, "api")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.WriteString("# The admin API\n\nGenerated from the source of `edge/admin/api`; do not edit.\n\n")
	b.WriteString("It listens on 127.0.0.1:2024 unless `admin:` says otherwise. With a token, every request carries `Authorization: Bearer TOKEN`. ")
	b.WriteString("A new version of a filter, with nothing but curl:\n\n")
	b.WriteString("```sh\ncurl -T auth.wasm http://127.0.0.1:2024/v1/filters/auth\n```\n\n")
	_, resources, _ := strings.Cut(pkg.Doc, "\n\n\t")
	table, rest, _ := strings.Cut(resources, "\n\n")
	b.WriteString("## Resources\n\n| method | path | what |\n|---|---|---|\n")
	for line := range strings.Lines(table) {
		i := strings.IndexByte(line, '/')
		path, what, _ := strings.Cut(strings.TrimSpace(line[i:]), " ")
		if p, after, ok := strings.Cut(path+" "+strings.TrimLeft(what, " "), "   "); ok {
			path, what = p, after
		}
		fmt.Fprintf(&b, "| %s | `%s` | %s |\n", strings.Join(strings.Fields(line[:i]), " "), path, strings.ReplaceAll(strings.TrimSpace(what), "|", `\|`))
	}
	b.WriteString("\n" + strings.TrimSpace(rest) + "\n\n## Objects\n")
	for _, typ := range pkg.Types {
		spec := typ.Decl.Specs[0].(*ast.TypeSpec)
		fields, ok := spec.Type.(*ast.StructType)
		if !ok || !isJSON(fields) {
			continue
		}
		fmt.Fprintf(&b, "\n### %s\n\n%s\n", typ.Name, strings.TrimSpace(typ.Doc))
		b.WriteString("\n| member | type | |\n|---|---|---|\n")
		for _, f := range fields.Fields.List {
			name, _ := tagOf(f)
			if name == "-" {
				continue
			}
			if len(f.Names) == 0 { // embedded: its members are the object's
				fmt.Fprintf(&b, "| | [%[1]s](#%[2]s) | its members |\n", typeName(f.Type), strings.ToLower(typeName(f.Type)))
				continue
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, typeName(f.Type), strings.ReplaceAll(strings.TrimSpace(f.Comment.Text()), "|", `\|`))
		}
	}
	return b.Bytes()
}

func tagOf(f *ast.Field) (name string, ok bool) {
	if f.Tag == nil {
		return "", false
	}
	tag, ok := reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Lookup("json")
	name, _, _ = strings.Cut(tag, ",")
	return name, ok
}

// isJSON reports whether a struct has the shape of an object of the API.
func isJSON(s *ast.StructType) bool {
	for _, f := range s.Fields.List {
		if _, ok := tagOf(f); ok {
			return true
		}
	}
	return false
}

// typeName returns what JSON has for a type of Go.
func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.ArrayType:
		return "array of " + typeName(e.Elt)
	case *ast.MapType:
		return "object of " + typeName(e.Value)
	case *ast.StarExpr:
		return typeName(e.X)
	case *ast.SelectorExpr:
		if e.Sel.Name == "RawMessage" {
			return "anything"
		}
		return "time (RFC 3339)"
	case *ast.Ident:
		switch e.Name {
		case "string":
			return "string"
		case "bool":
			return "boolean"
		case "int", "int64", "uint64", "float64":
			return "number"
		}
		return e.Name
	}
	return "anything"
}
