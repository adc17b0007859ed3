package server

import (
	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/config"
)

// change is a configuration that is to be in force.
type change struct {
	changed bool
	file    *config.File
}

func (s *Server) useFilter(string, api.Use) (*change, error) {
	return &change{file: s.snapshot.Load().file}, nil
}

func (s *Server) withoutFilter(string) (*change, error) {
	return &change{file: s.snapshot.Load().file}, nil
}

func (s *Server) useFunction(string, api.Use) (*change, error) {
	return &change{file: s.snapshot.Load().file}, nil
}

func (s *Server) withoutFunction(string) (*change, error) {
	return &change{file: s.snapshot.Load().file}, nil
}

func (s *Server) commit(*change, string) error { return nil }
