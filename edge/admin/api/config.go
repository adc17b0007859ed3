package api

import (
	"encoding/json"
	"time"
)

// Configuration is what is in force, and where it comes from.
type Configuration struct {
	File      string    `json:"file,omitempty"` // path of the main file; "" without one: demo, to
	ETag      string    `json:"etag"`           // changes whenever the configuration does
	Texts     []Text    `json:"texts"`          // as the files had it when they were read last
	Effective []Text    `json:"effective"`      // with the overlays folded in
	Overlays  []Overlay `json:"overlays"`
	Warnings  []Problem `json:"warnings,omitempty"`
}

// Text is one file of a configuration. The main one comes first.
type Text struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

// Overlay is a change by the API that lasts until the file says something else.
type Overlay struct {
	Kind  string          `json:"kind"` // "filter", "function", "route", "site", "split", "file"
	Name  string          `json:"name"` // "auth", "example.com/api/*"
	Since time.Time       `json:"since"`
	Value json.RawMessage `json:"value,omitempty"` // as the file would have it; of the kind "file" there is none
}

// Check is what is to be said of a configuration that was not put in force.
type Check struct {
	Right    bool      `json:"right"`
	Problems []Problem `json:"problems,omitempty"` // errors and warnings
	Diff     string    `json:"diff,omitempty"`     // unified, from what is in force
}

// Revision is a configuration that was in force.
type Revision struct {
	Number  int       `json:"number"`
	Time    time.Time `json:"time"`
	Cause   string    `json:"cause"` // "start", "a file has changed", "filter auth pushed" ...
	Bytes   int       `json:"bytes"`
	Current bool      `json:"current"`
}

// Route is a route as it is in force.
type Route struct {
	ID       string   `json:"id"` // site/route
	Site     string   `json:"site"`
	Route    string   `json:"route"` // its name
	Match    string   `json:"match"` // "POST /login"
	When     []string `json:"when,omitempty"`
	Target   string   `json:"target"` // "shop", "function:hello", "redirect to /new/$1" ...
	Filters  []string `json:"filters,omitempty"`
	Overlaid bool     `json:"overlaid,omitempty"` // by the API
}

// RouteConfig is a route as the file would have it.
type RouteConfig struct {
	Route
	Value json.RawMessage `json:"value"` // a text for a target, or an object
}
