package config

import (
	"fmt"
	"strings"
	"testing"
)

func TestUnmarshal(t *testing.T) {
	type settings struct {
		Name  string
		Limit int `json:"limit"`
	}
	f := func(data string, want settings, problem string) {
		t.Helper()
		got := settings{Limit: 10}
		err := Unmarshal([]byte(data), &got)
		if (err == nil) != (problem == "") || err != nil && !strings.Contains(err.Error(), problem) {
			t.Errorf("%s: error is %v, want %q", data, err, problem)
		}
		if err == nil && got != want {
			t.Errorf("%s: got %+v, want %+v", data, got, want)
		}
	}
	f(``, settings{"", 10}, "")
	f(`{}`, settings{"", 10}, "")
	f(`{"name": "a", "limit": 5} `, settings{"a", 5}, "")
	f(`{"limti": 5}`, settings{}, `unknown field "limti"`)
	f(`{"limit": "5"}`, settings{}, "string")
	f(`{} {}`, settings{}, "more than one")
	f(`{}}`, settings{}, "more than one")
	f(`{`, settings{}, "EOF")
	f(`plain text`, settings{}, "invalid character")
}

func ExampleUnmarshal() {
	var limits struct {
		Users int `json:"users"`
	}
	fmt.Println(Unmarshal([]byte(`{"users": 5}`), &limits), limits.Users)
	fmt.Println(Unmarshal([]byte(`{"user": 5}`), &limits))
	// Output:
	// <nil> 5
	// json: unknown field "user"
}
