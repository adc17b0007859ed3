package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/listen"
	"github.com/sluice-edge/sluice/edge/metrics"
	"github.com/sluice-edge/sluice/edge/server"
)

func metricsOf(proxy *server.Server, version api.Version, log *slog.Logger) http.Handler {
	h := metrics.Handler(proxy.Metrics, metrics.Config{Build: metrics.Build{Version: version.Version, Revision: version.Revision, Go: version.Go}, Log: log})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.SetWriteDeadline(time.Now().Add(readTime)) // so many are served at once only
		h.ServeHTTP(w, r)
	})
}

// Metrics serves the metrics, and nothing else, at an address of their own.
type Metrics struct {
	http   *http.Server
	socket net.Listener
}

// NewMetrics binds the address.
func NewMetrics(proxy *server.Server, at config.Address, version api.Version, log *slog.Logger) (*Metrics, error) {
	socket, err := listen.Open(at.Network, at.Address)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metricsOf(proxy, version, log))
	return &Metrics{socket: socket, http: &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr returns the address that is bound.
func (m *Metrics) Addr() net.Addr { return m.socket.Addr() }

// Serve serves until Close.
func (m *Metrics) Serve() error {
	if err := m.http.Serve(m.socket); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close ends it: who has no answer yet asks again.
func (m *Metrics) Close() error { return m.http.Close() }
