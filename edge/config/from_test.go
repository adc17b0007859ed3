package config

import (
	"io/fs"
	"testing"
)

// One reference may be to two addresses: relative paths begin at the directory of the
// file that they stand in. A name stands for one address all the same.
func TestImpliedFromElsewhere(t *testing.T) {
	f, problems := ParseTexts([]Text{
		{"/etc/sluice/main.yaml", []byte("include: [a/*.yaml, b/*.yaml]\nsites: { m: env:A, n: env:A, o: \"10.0.0.1:80\" }\n")},
		{"/etc/sluice/a/x.yaml", []byte("sites: { a: file:backend }\n")},
		{"/etc/sluice/b/x.yaml", []byte("sites: { b: file:backend, c: file:backend }\n")},
	}, Options{
		Env: func(string) (string, bool) { return "10.0.0.1:80", true },
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "/etc/sluice/a/backend":
				return []byte("10.0.0.2:80\n"), nil
			case "/etc/sluice/b/backend":
				return []byte("10.0.0.3:80\n"), nil
			}
			return nil, fs.ErrNotExist
		},
	})
	if f == nil {
		t.Fatal(problems)
	}
	for site, want := range map[string]struct{ name, address string }{
		"m": {"env:A", "10.0.0.1:80"}, "n": {"env:A", "10.0.0.1:80"}, "o": {"10.0.0.1:80", "10.0.0.1:80"},
		"a": {"file:backend", "10.0.0.2:80"}, "b": {"file:backend 2", "10.0.0.3:80"}, "c": {"file:backend 2", "10.0.0.3:80"},
	} {
		for i := range f.Sites {
			if f.Sites[i].Name != site {
				continue
			}
			u := f.Upstream(f.Sites[i].Routes[0].To.Upstream)
			if u == nil || u.Name != want.name || u.Endpoints[0].Address != want.address {
				t.Errorf("%s: got %+v, want %+v", site, u, want)
			}
		}
	}
	if len(f.Upstreams) != 4 {
		t.Errorf("got %+v", f.Upstreams)
	}
}
