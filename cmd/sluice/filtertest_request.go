package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/sluice-edge/sluice/edge/admin/api"
	"github.com/sluice-edge/sluice/edge/capture"
)

const (
	// maxTrialContent is how much content a trial takes, in bytes.
	maxTrialContent = 1 << 20

	// maxReplay is how many exchanges of a capture are replayed at most.
	maxReplay = 1000

	// trialURL is what is asked for where nothing else is said.
	trialURL = "http://example.com/"
)

// trialFlags are the flags of a command that tries a module: the request, and of a
// filter the response that it is given.
type trialFlags struct {
	method, data, client string
	fields               []string
	status               int
	responseFields       []string
	responseData         string
}

func (t *trialFlags) add(cmd *cobra.Command, k *kind) {
	f := cmd.Flags()
	f.StringVarP(&t.method, "request", "X", "", "`method` (default GET, or POST with -d)")
	f.StringArrayVarP(&t.fields, "header", "H", nil, "request `field`, as \"Name: value\"; may be repeated")
	f.StringVarP(&t.data, "data", "d", "", "`content` of the request; @FILE: that of a file; @-: standard input")
	f.StringVar(&t.client, "client", "", "`address` of the client (default 127.0.0.1)")
	if k.noun == "filter" {
		f.IntVar(&t.status, "status", 200, "`status` of the response that the filter is given")
		f.StringArrayVar(&t.responseFields, "response-header", nil, "`field` of that response; may be repeated")
		f.StringVar(&t.responseData, "response-data", "", "`content` of that response, or @FILE")
	}
}

// request returns what is asked for.
func (t *trialFlags) request(cmd *cobra.Command, args []string) (q api.TryRequest, err error) {
	q = api.TryRequest{Client: t.client, Request: api.HTTPRequest{Method: t.method, URL: trialURL}}
	if len(args) > 0 {
		q.Request.URL = args[0]
	}
	if q.Request.Headers, err = fieldsOf(t.fields); err != nil {
		return q, err
	}
	if cmd.Flags().Changed("data") {
		b, err := contentOf(cmd, "data", t.data)
		if err != nil {
			return q, err
		}
		q.Request.SetContent(b)
		if t.method == "" {
			q.Request.Method = "POST"
		}
	}
	if !cmd.Flags().Changed("status") && t.responseFields == nil && t.responseData == "" {
		return q, nil
	}
	q.Response = &api.HTTPResponse{Status: t.status}
	if q.Response.Headers, err = fieldsOf(t.responseFields); err != nil {
		return q, err
	}
	b, err := contentOf(cmd, "response-data", t.responseData)
	q.Response.SetContent(b)
	return q, err
}

// fieldsOf returns what flags say that have fields.
func fieldsOf(flags []string) ([]api.Field, error) {
	var all []api.Field
	for _, f := range flags {
		name, value, ok := strings.Cut(f, ":")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, usagef("field %q: expected \"Name: value\"", f)
		}
		all = append(all, api.Field{Name: name, Value: strings.TrimSpace(value)})
	}
	return all, nil
}

// contentOf returns the content that a flag says.
func contentOf(cmd *cobra.Command, flag, data string) ([]byte, error) {
	r, err := requestBody(cmd, data)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", flag, err)
	}
	if f, ok := r.(*os.File); ok {
		defer f.Close()
	}
	b, err := io.ReadAll(io.LimitReader(r, maxTrialContent+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("--%s: %w", flag, err)
	case len(b) > maxTrialContent:
		return nil, usagef("--%s: a trial takes content of at most 1MB", flag)
	}
	return b, nil
}

// replayed returns the requests of a capture, with the responses that filters are to be
// given.
func replayed(cmd *cobra.Command, path string) ([]api.TryRequest, error) {
	in := cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	var all []api.TryRequest
	r := capture.NewReader(in)
	for {
		c, err := r.Next()
		switch {
		case errors.Is(err, io.EOF) && len(all) == 0:
			return nil, usagef("%s has no exchanges", path)
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, &exitError{exitUsage, fmt.Errorf("%s: %w", path, err)}
		case len(all) == maxReplay:
			return nil, usagef("%s has more than %d exchanges", path, maxReplay)
		}
		all = append(all, api.TryRequest{Request: c.Request, Response: c.Response, Client: c.Client})
	}
}
