package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluice-edge/sluice/edge/admin"
	"github.com/sluice-edge/sluice/edge/config"
	"github.com/sluice-edge/sluice/edge/diag"
	"github.com/sluice-edge/sluice/edge/server"
)

// drainTime is how long exchanges may take to end once the proxy is told to stop;
// then they are cut, tunnels first of all.
const drainTime = 30 * time.Second

// adminDrainTime is the same for requests of the admin API.
const adminDrainTime = 2 * time.Second

// service is a proxy with its admin API, as run, to and demo serve it.
type service struct {
	file    *config.File
	load    func() (*config.File, *diag.List) // the configuration anew; nil: it cannot change
	watched func() []string                   // files of the configuration
	stderr  io.Writer
	access  io.Writer // of the access log; nil: as the configuration says
	started func()    // called when traffic is taken

	log   *slog.Logger
	proxy *server.Server
}

// serve serves until a signal ends it: INT and TERM let exchanges end, and cut
// them the second time; QUIT cuts them at once; HUP loads the configuration anew;
// USR1 opens log files anew.
func (s *service) serve() error {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)

	s.log = newLog(s.file.Log, s.stderr)
	proxy, problems, err := server.New(s.file, server.Options{Log: s.log, Access: s.access})
	report(s.stderr, problems)
	switch {
	case err != nil:
		return err
	case problems.Failed():
		return errConfig
	}
	s.proxy = proxy
	api, err := s.startAdmin()
	if err != nil {
		proxy.Close()
		return err
	}
	figures, err := s.startMetrics()
	if err != nil {
		if api != nil {
			api.Shutdown(context.Background()) // nobody uses it yet
		}
		proxy.Close()
		return err
	}
	if figures != nil {
		defer figures.Close()
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if s.watched != nil {
		go func() {
			err := server.Watch(ctx, s.watched(), func() []string {
				s.reload("a file has changed")
				return s.watched()
			})
			if err != nil {
				s.log.Warn("files cannot be watched: changes are loaded on SIGHUP only", "error", err)
			}
		}()
	}
	notify("READY=1")
	if s.started != nil {
		s.started()
	}
	for sig := range signals {
		if sig == syscall.SIGHUP {
			if s.load != nil {
				s.reload("SIGHUP")
			}
			continue
		}
		if sig == syscall.SIGUSR1 {
			if err := proxy.ReopenLogs(); err != nil {
				s.log.Error("the access log could not be opened anew; the file before goes on", "error", err)
			} else {
				s.log.Info("log files opened anew")
			}
			continue
		}
		notify("STOPPING=1")
		return s.stop(sig, signals, api)
	}
	return nil
}

// errConfig says that the problems of the configuration have been printed.
var errConfig = &exitError{exitUsage, errors.New("the configuration has errors")}

// startAdmin starts the admin API, unless it is off.
func (s *service) startAdmin() (*admin.API, error) {
	if s.file.Admin.Off {
		return nil, nil
	}
	api, err := admin.New(s.proxy, s.file.Admin, buildVersion(), s.log)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := api.Serve(); err != nil {
			s.log.Error("the admin API has failed", "error", err)
		}
	}()
	return api, nil
}

// startMetrics starts what serves the metrics at an address of their own, if there
// is one.
func (s *service) startMetrics() (*admin.Metrics, error) {
	if s.file.Metrics.Listen == nil {
		return nil, nil
	}
	m, err := admin.NewMetrics(s.proxy, *s.file.Metrics.Listen, buildVersion(), s.log)
	if err != nil {
		return nil, err
	}
	go func() {
		if err := m.Serve(); err != nil {
			s.log.Error("what serves the metrics has failed", "error", err)
		}
	}()
	return m, nil
}

// reload makes the configuration as it is now the one in force, if it is right.
func (s *service) reload(why string) {
	start := time.Now()
	file, problems := s.load()
	if !problems.Failed() {
		applied, err := s.proxy.Apply(file, why)
		if err != nil {
			s.log.Error("the configuration was not taken; the one before goes on", "cause", why, "error", err)
			return
		}
		problems = applied
	} else {
		s.proxy.Refused(problems.Err())
	}
	if problems.Failed() {
		report(s.stderr, problems)
		s.log.Error("the configuration has errors; the one before goes on", "cause", why)
		return
	}
	report(s.stderr, problems)
	s.log.Info("configuration loaded", "cause", why, "took", time.Since(start).Round(time.Millisecond))
}

// stop ends the proxy as the signal asks, and at once if another one follows.
func (s *service) stop(sig os.Signal, again <-chan os.Signal, api *admin.API) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	if sig == syscall.SIGQUIT {
		cancel()
	} else {
		s.log.Info("stopping when every exchange has ended", "within", drainTime)
	}
	go func() {
		for {
			select {
			case <-again:
				cancel()
			case <-ctx.Done():
				return
			}
		}
	}()
	if api != nil {
		adminCtx, done := context.WithTimeout(ctx, adminDrainTime)
		defer done()
		api.Shutdown(adminCtx) // who was cut has an answer or asks again
	}
	if err := s.proxy.Shutdown(ctx); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// newLog returns the log that the configuration asks for.
func newLog(c config.Log, stderr io.Writer) *slog.Logger {
	level := [...]slog.Level{config.LevelDebug: slog.LevelDebug, config.LevelInfo: slog.LevelInfo, config.LevelWarn: slog.LevelWarn, config.LevelError: slog.LevelError}[c.Level]
	switch c.Errors {
	case config.Off:
		return slog.New(slog.DiscardHandler)
	case config.Stdout:
		stderr = os.Stdout
	}
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
}

// report prints problems with their excerpts.
func report(w io.Writer, problems *diag.List) {
	if problems != nil {
		problems.Write(w, colours(w)) // nobody is left to be told that it failed
	}
}

// notify tells systemd how the service is (sd_notify(3)), if it was asked for.
func notify(state string) {
	socket := os.Getenv("NOTIFY_SOCKET")
	if socket == "" {
		return
	}
	c, err := net.Dial("unixgram", socket)
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, state) // nobody else can be told
}

// configFile returns the file that a flag, an argument or the environment names.
func configFile(given string) string {
	if given == "" {
		given = os.Getenv("SLUICE_CONFIG")
	}
	if given == "" {
		given = "sluice.yaml"
	}
	return filepath.Clean(given)
}
