package edge

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"
)

// DialKind returns what sort of failure an error of a dial is.
func DialKind(err error) Kind {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsTimeout {
			return DNSTimeout
		}
		return DNSError
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT), isTimeout(err):
		return ConnectionTimeout
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, fs.ErrNotExist):
		return DestinationUnavailable
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.EADDRNOTAVAIL),
		errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
		return InternalError // what is short is ours, and says nothing about the endpoint
	}
	return ConnectionRefused
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}
