package edge

import (
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"
)

// Which failures say something about the endpoint, and which about ourselves.
func TestDialKind(t *testing.T) {
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, test := range []struct {
		err  error
		want Kind
	}{
		{op(syscall.ECONNREFUSED), ConnectionRefused},
		{op(syscall.ECONNRESET), ConnectionRefused},
		{op(syscall.ETIMEDOUT), ConnectionTimeout},
		{op(os.ErrDeadlineExceeded), ConnectionTimeout},
		{op(syscall.EHOSTUNREACH), DestinationUnavailable},
		{op(syscall.ENETUNREACH), DestinationUnavailable},
		{op(fs.ErrNotExist), DestinationUnavailable},
		{op(syscall.EMFILE), InternalError},
		{op(syscall.ENFILE), InternalError},
		{op(syscall.EADDRNOTAVAIL), InternalError},
		{&net.DNSError{Name: "x"}, DNSError},
		{&net.DNSError{Name: "x", IsTimeout: true}, DNSTimeout},
	} {
		if got := DialKind(test.err); got != test.want {
			t.Errorf("DialKind(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}
