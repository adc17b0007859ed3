package server

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/sluice-edge/sluice/edge/accesslog"
	"github.com/sluice-edge/sluice/edge/config"
)

// accessLog is where the lines of exchanges go now.
type accessLog struct {
	logger *accesslog.Logger
	file   *accesslog.File // nil: no file of ours
	of     config.Access
}

// openLog returns the access log that c asks for: the one that there is, or a new
// one. s.changing is held.
func (s *Server) openLog(c config.Log) (*accessLog, error) {
	if have := s.accessLog; have != nil && (s.output != nil || have.of == c.Access) {
		return have, nil
	}
	format, err := accesslog.ParseFormat(c.Access.Format)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	a := &accessLog{of: c.Access}
	cfg := accesslog.Config{Format: format, Fields: c.Fields, Redact: c.Redact, Log: s.log}
	switch {
	case s.output != nil:
		cfg.Output = s.output
	case c.Access.File != "":
		a.file, err = accesslog.OpenFile(accesslog.FileConfig{
			Path: c.Access.File, Size: c.Access.Size, Age: c.Access.Age, Keep: c.Access.Keep, Compress: c.Access.Compress, Log: s.log,
		})
		if err != nil {
			return nil, fmt.Errorf("access log: %w", err)
		}
		cfg.Output = a.file
	default:
		cfg.Output = standard(c.Access.Output)
	}
	a.logger = accesslog.New(cfg)
	return a, nil
}

func standard(o config.Output) io.Writer {
	switch o {
	case config.Stdout:
		return os.Stdout
	case config.Stderr:
		return os.Stderr
	}
	return nil
}

// logTo makes a the access log, and ends the one before. s.mu is held.
func (s *Server) logTo(a *accessLog, c config.Log) {
	a.logger.SetFields(c.Fields, c.Redact)
	old := s.accessLog
	s.accessLog = a
	s.access.Store(a.logger)
	if old != nil && old != a {
		s.ending.Go(func() { // it may wait for its output
			if err := old.close(); err != nil {
				s.log.Error("the access log before was not ended cleanly", "error", err)
			}
		})
	}
}

func (a *accessLog) close() error {
	err := a.logger.Close()
	if a.file != nil {
		err = errors.Join(err, a.file.Close())
	}
	return err
}

// ReopenLogs goes on in new files where something has moved those that lines are
// written to.
func (s *Server) ReopenLogs() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.accessLog.file == nil {
		return nil
	}
	return s.accessLog.file.Reopen()
}
