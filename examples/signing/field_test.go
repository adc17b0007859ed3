package main

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

func TestParseDictionary(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		list, err := parseDictionary(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		var got []string
		for _, m := range list {
			if m.isList {
				got = append(got, m.name+" "+serialize(m.items, m.params))
			} else {
				got = append(got, fmt.Sprintf("%s %q%s", m.name, m.bytes, strings.TrimPrefix(serialize(nil, m.params), "()")))
			}
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: got %s, want %s", text, strings.Join(got, ", "), want)
		}
	}
	f(`a=()`, `a ()`)
	f(` a=( "x"   "y" ) `, `a ("x" "y")`)
	f(`a=("x");created=1;  keyid="k\"\\";tag=t/0;b;c=?0;d=:eA==:;e=?1`, `a ("x");created=1;keyid="k\"\\";tag=t/0;b;c=?0;d=:eA==:;e`)
	f("a=:eHk=:,\t*b-1.x=::;q", `a "xy", *b-1.x "";q`)
	f(`a=();x=-999999999999999`, `a ();x=-999999999999999`)

	bad := func(text, want string) {
		t.Helper()
		if _, err := parseDictionary(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %s", text, err, want)
		}
	}
	bad(``, "want a name")
	bad(`A=()`, "want a name")
	bad(`a`, `"a" has no value`)
	bad(`a=1`, "want a list or bytes")
	bad(`a=("x"`, "want a space or )")
	bad(`a=("x""y")`, "want a space or )")
	bad(`a=(x)`, "want a string")
	bad(`a=("x";req)`, `the component "x" has parameters`)
	bad(`a=("x`, "no end")
	bad(`a=("\x")`, `before what needs none`)
	bad("a=(\"\x7f\")", "the byte 0x7f")
	bad(`a=:eA==`, "no end")
	bad(`a=:e:`, "illegal base64")
	bad("a=:eA\n==:", "line end")
	bad(`a=();x=`, "want a value")
	bad(`a=();x=1.5`, "is no integer")
	bad(`a=();x=1-5`, "invalid syntax")
	bad(`a=();x=1234567890123456`, "is no integer")
	bad(`a=();x=@1`, "is no value")
	bad(`a=();x;x`, `"x" is there twice`)
	bad(`a=(), a=()`, `"a" is there twice`)
	bad(`a=(),`, "want a name")
	bad(`a=() b=()`, "want a comma")
	bad(`a=(`+strings.Repeat(`"x" `, 33)+`)`, "more than 32 items")
	bad(`a=(`+strings.Repeat(" ", 4096)+`)`, "more than 4096")
	bad(`a=(),b=(),c=(),d=(),e=(),f=(),g=(),h=(),i=()`, "more than 8 members")
}

// What is read says the same when it is written and read again: so a signature is
// about what we have understood.
func FuzzDictionary(f *testing.F) {
	for _, seed := range []string{`a=("x" "y");created=1;keyid="k"`, `a=:eA==:`, `a=("\"\\");b=?0;c=tok, d=::`, `a=( );b=-0`, "a=()\t,b=()"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseDictionary(text)
		if err != nil {
			return
		}
		for _, m := range list {
			if !m.isList {
				continue
			}
			again, err := parseDictionary("a=" + serialize(m.items, m.params))
			if err != nil && strings.Contains(err.Error(), "more than 4096") {
				continue
			}
			if err != nil || !reflect.DeepEqual(again[0].items, m.items) || !reflect.DeepEqual(again[0].params, m.params) {
				t.Errorf("%q: %q %v becomes %v, %v", text, m.items, m.params, again, err)
			}
		}
	})
}
