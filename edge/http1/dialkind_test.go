package http1

import (
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sluice-edge/sluice/edge"
)

// Which failures say something about the endpoint, and which about ourselves.
func TestDialKind(t *testing.T) {
	op := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	for _, test := range []struct {
		err  error
		want edge.Kind
	}{
		{op(syscall.ECONNREFUSED), edge.ConnectionRefused},
		{op(syscall.ECONNRESET), edge.ConnectionRefused},
		{op(syscall.ETIMEDOUT), edge.ConnectionTimeout},
		{op(os.ErrDeadlineExceeded), edge.ConnectionTimeout},
		{op(syscall.EHOSTUNREACH), edge.DestinationUnavailable},
		{op(syscall.ENETUNREACH), edge.DestinationUnavailable},
		{op(fs.ErrNotExist), edge.DestinationUnavailable},
		{op(syscall.EMFILE), edge.InternalError},
		{op(syscall.ENFILE), edge.InternalError},
		{op(syscall.EADDRNOTAVAIL), edge.InternalError},
		{&net.DNSError{Name: "x"}, edge.DNSError},
		{&net.DNSError{Name: "x", IsTimeout: true}, edge.DNSTimeout},
	} {
		if got := dialKind(test.err); got != test.want {
			t.Errorf("dialKind(%v) = %v, want %v", test.err, got, test.want)
		}
	}
}
