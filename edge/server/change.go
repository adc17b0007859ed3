package server

import (
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// change is a configuration that is to be in force.
type change struct{ file *config.File }

func (c *change) some() bool { return false }

func (c *change) of(s *Server) *config.File { return s.snapshot.Load().file }

func (s *Server) useFilter(name string, use api.Use) (*change, error) {
	return &change{s.snapshot.Load().file}, nil
}

func (s *Server) withoutFilter(name string) (*change, error) {
	return &change{s.snapshot.Load().file}, nil
}

func (s *Server) commit(c *change, cause string) error { return nil }
