package hostmod

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-edge/sluice/edge/kv"
	"github.com/sluice-edge/sluice/filters/wasm"
)

// number returns the 8 bytes that a function has written at buf + limit.
func (r *rig) number() int64 {
	return int64(binary.LittleEndian.Uint64(r.in.Read(buf+limit, 8)))
}

func TestKV(t *testing.T) {
	s := store(t, kv.Config{ValueBytes: 1000, NamespaceBytes: 3000})
	r := start(t, all, Env{KV: s, Limits: Limits{ListKeys: 3}})
	get := func(key, want string, version int64) {
		t.Helper()
		binary.LittleEndian.PutUint64(r.in.Read(buf+limit, 8), 0)
		n := r.call("kv_get", "a", key, buf, limit, buf+limit)
		if n != int64(len(want)) || r.text(n) != want || r.number() != version {
			t.Errorf("%s: got %d, %q and version %d, want %q and %d", key, n, r.text(max(n, 0)), r.number(), want, version)
		}
	}
	r.want(-1, "kv_get", "a", "k", buf, limit, 0)
	one := r.call("kv_set", "a", "k", "one", 0, 0)
	get("k", "one", one)
	r.want(-2, "kv_set", "a", "k", "two", 0, 0)
	two := r.call("kv_set", "a", "k", "two", 0, int(one))
	get("k", "two", two)
	// What does not fit is not written, and its version is.
	clear(r.in.Read(buf, limit))
	r.want(3, "kv_get", "a", "k", buf, 2, buf+limit)
	if r.text(3) != "\x00\x00\x00" || r.number() != two {
		t.Errorf("got %q and version %d", r.text(3), r.number())
	}
	r.want(-2, "kv_delete", "a", "k", int(one))
	r.want(0, "kv_delete", "a", "k", int(two))
	r.want(-1, "kv_delete", "a", "k", -1)

	add := func(want, sum int64, key string, delta int) {
		t.Helper()
		r.want(want, "kv_add", "a", key, delta, 0, buf+limit)
		if want == 0 && r.number() != sum {
			t.Errorf("the sum is %d, want %d", r.number(), sum)
		}
	}
	add(0, 5, "n", 5)
	add(0, -3, "n", -8)
	r.call("kv_set", "a", "text", "x", 0, -1)
	add(-4, 0, "text", 1)

	for _, k := range []string{"l/1", "l/2", "l/3", "l/4", "l/5"} {
		r.call("kv_set", "a", k, "", 0, -1)
	}
	r.wantText("l/1\x00l/2\x00l/3\x00", "kv_list", "a", "l/", "")
	r.wantText("l/4\x00l/5\x00", "kv_list", "a", "l/", "l/3")
	r.wantText("", "kv_list", "a", "l/", "l/5")
	r.want(2<<32|8, "kv_list", "a", "l/", "", buf, 11) // as many as fit
	r.want(4, "kv_list", "a", "l/", "", buf, 3)        // none does

	r.want(-3, "kv_get", "b", "k", buf, limit, 0)
	r.want(-3, "kv_set", "b", "k", "v", 0, -1)
	r.want(-3, "kv_delete", "b", "k", -1)
	r.want(-3, "kv_add", "b", "k", 1, 0, buf)
	r.want(-3, "kv_list", "b", "", "", buf, limit)
	r.want(-4, "kv_get", "a", "", buf, limit, 0)
	r.want(-4, "kv_get", "a", strings.Repeat("k", 1025), buf, limit, 0)
	r.want(-4, "kv_set", "a", "k", "v", -1, -1) // a ttl
	r.want(-4, "kv_set", "a", "k", "v", 0, -2)  // a version
	r.want(-4, "kv_add", "a", "k", 1, -1, buf)
	r.want(-4, "kv_delete", "a", "k", -2)
	r.want(-5, "kv_set", "a", "k", strings.Repeat("v", 1001), 0, -1)
	r.call("kv_set", "a", "big", strings.Repeat("v", 1000), 0, -1)
	r.want(-5, "kv_set", "a", strings.Repeat("k", 1000), strings.Repeat("v", 1000), 0, -1)

	// A ttl that no Duration has is as good as for ever.
	if v := r.call("kv_set", "a", "n", "0", uint64(1)<<62, -1); v <= 0 {
		t.Errorf("got %d", v)
	}
	get("n", "0", r.call("kv_set", "a", "n", "0", 3_600_000, -1))
	if e, err := s.Get("a", "n"); err != nil || e.Expires.IsZero() {
		t.Errorf("%+v, %v", e, err)
	}
	if r.sleeps == 0 {
		t.Error("writes have not told that they wait")
	}

	s.Close()
	r.want(-6, "kv_get", "a", "k", buf, limit, 0)
	r.want(-6, "kv_set", "a", "k", "v", 0, -1)
	none := start(t, all, Env{})
	none.want(-6, "kv_get", "a", "k", buf, limit, 0)
}

// Two filters share a namespace only if both are granted it.
func TestNamespaces(t *testing.T) {
	s := store(t, kv.Config{})
	a := start(t, Grants{KV: []string{"a", "both"}}, Env{KV: s})
	b := start(t, Grants{KV: []string{"b", "both"}}, Env{KV: s})
	for i, r := range []*rig{a, b} {
		r.call("kv_set", []string{"a", "b"}[i], "k", fmt.Sprint(i), 0, -1)
		r.call("kv_set", "both", "k", fmt.Sprint(i), 0, -1)
	}
	a.want(1, "kv_get", "a", "k", buf, limit, 0)
	if a.text(1) != "0" {
		t.Errorf("got %q of its own namespace", a.text(1))
	}
	a.want(1, "kv_get", "both", "k", buf, limit, 0)
	if a.text(1) != "1" {
		t.Errorf("got %q of the namespace of both", a.text(1))
	}
	a.want(-3, "kv_get", "b", "k", buf, limit, 0)
	b.want(-3, "kv_list", "a", "", "", buf, limit)
}

// A guest whose buffer is not in its memory fails, and the store is not blamed.
func TestKVPointers(t *testing.T) {
	r := start(t, all, Env{KV: store(t, kv.Config{})})
	r.call("kv_set", "a", "k", "value", 0, -1)
	_, err := r.try("kv_get", "a", "k", 1<<32-16, 16, 0)
	if f, ok := errors.AsType[*wasm.Failure](err); !ok || f.Cause != wasm.Misused {
		t.Errorf("got %v, want a failure of the guest", err)
	}
}
