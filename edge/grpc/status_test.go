package grpc

import (
	"testing"
	"time"

	"github.com/sluice-edge/sluice/edge"
)

func TestCodeOf(t *testing.T) {
	for status, want := range map[int]Code{400: Internal, 401: Unauthenticated, 403: PermissionDenied, 404: Unimplemented, 429: Unavailable,
		502: Unavailable, 503: Unavailable, 504: Unavailable, 200: Unknown, 500: Unknown, 418: Unknown} {
		if got := CodeOf(status); got != want {
			t.Errorf("%d is %d, not %d", status, got, want)
		}
	}
}

func TestResets(t *testing.T) {
	for code, want := range map[uint32]Code{0x7: Unavailable, 0x8: Cancelled, 0xb: ResourceExhausted, 0xc: PermissionDenied, 0x0: Internal, 0x1: Internal, 0xff: Internal} {
		err := &edge.Error{Kind: edge.ConnectionTerminated, Err: reset{Code: code}}
		if got := failure(err).Code; got != want {
			t.Errorf("%#x is %d, not %d", code, got, want)
		}
	}
}

func TestTimeouts(t *testing.T) {
	for d, want := range map[time.Duration]string{1: "1m", time.Millisecond: "1m", 90 * time.Second: "90000m", 27 * time.Hour: "97200000m",
		28 * time.Hour: "100800S", 1 << 62: "99999999S"} {
		if got := timeout(d); got != want {
			t.Errorf("%v is %q, not %q", d, got, want)
		}
	}
}

func TestIsGRPC(t *testing.T) {
	for v, want := range map[string]bool{"application/grpc": true, "application/grpc+proto": true, "application/grpc; a=b": true,
		"application/grpc-web": false, "application/grpcs": false, "text/plain": false, "": false} {
		var f edge.Fields
		f.Add("Content-Type", v)
		if got := IsGRPC(&f); got != want {
			t.Errorf("%q: %v", v, got)
		}
	}
}

// What is encoded is decoded, and what is none is left alone.
func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "plain", "caf\u00e9", "100%", "%", "%4", "%zz", "%41", "a\r\nb\x00", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := EncodeMessage(s)
		for i := range len(e) {
			if e[i] < ' ' || e[i] > '~' {
				t.Fatalf("%q has the byte %#x", e, e[i])
			}
		}
		if got := decodeMessage(e); got != s {
			t.Errorf("%q becomes %q", s, got)
		}
		decodeMessage(s)
	})
}
