package fetch

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"

	"github.com/quic-go/quic-go"
)

// Alerts of TLS (RFC 8446, section 6).
const (
	alertNoProtocol   = 120
	alertUnrecognized = 112
)

// explain says in clear words why there is no response.
func (o *Options) explain(u *url.URL, err error) error {
	addr := u.Host
	if u.Port() == "" {
		port := "80"
		if u.Scheme == "https" {
			port = "443"
		}
		addr = net.JoinHostPort(u.Hostname(), port)
	}
	if o.Dial != "" {
		addr = o.Dial
	}
	say := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
	}
	if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
		return say("the certificate of %s is signed by an authority that is not trusted: --trust-internal trusts that of sluice on this machine, -k any", u.Hostname())
	}
	if wrong := (x509.HostnameError{}); errors.As(err, &wrong) {
		return say("the certificate is for another name than %s: -k takes it all the same", u.Hostname())
	}
	if invalid := (x509.CertificateInvalidError{}); errors.As(err, &invalid) {
		return say("the certificate of %s is not valid: -k takes it all the same", u.Hostname())
	}
	if alert, ok := remoteAlert(err); ok {
		switch alert {
		case alertUnrecognized:
			return say("%s has no site of the name %s", addr, u.Hostname())
		case alertNoProtocol:
			return say("%s speaks no %s", addr, o.Proto)
		}
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns):
		return say("the name %s cannot be found", u.Hostname())
	case o.Proto == HTTP3:
		if why := explainQUIC(addr, err); why != "" {
			return say("%s", why)
		}
	case errors.Is(err, syscall.ECONNREFUSED):
		return say("nobody listens on TCP %s", addr)
	}
	if notTLS := (tls.RecordHeaderError{}); errors.As(err, &notTLS) || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return say("%s speaks no TLS: use http://", addr)
	}
	return err
}

// remoteAlert returns the TLS alert that the server has sent, if it is one of
// those above.
func remoteAlert(err error) (uint8, bool) {
	// RFC 9001, section 4.8: an alert is the last byte of a CRYPTO_ERROR.
	if q, ok := errors.AsType[*quic.TransportError](err); ok && q.Remote && q.ErrorCode.IsCryptoError() {
		return uint8(q.ErrorCode), true
	}
	// crypto/tls keeps the number to itself.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		switch op.Err.Error() {
		case tls.AlertError(alertNoProtocol).Error():
			return alertNoProtocol, true
		case tls.AlertError(alertUnrecognized).Error():
			return alertUnrecognized, true
		}
	}
	return 0, false
}

// String returns the version as it is written.
func (p Proto) String() string {
	switch p {
	case HTTP1:
		return "HTTP/1.1"
	case HTTP2:
		return "HTTP/2"
	case HTTP3:
		return "HTTP/3"
	}
	return "HTTP/1.1 or HTTP/2"
}
