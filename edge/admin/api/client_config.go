package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
)

// Routes returns all routes, in the order of the file.
func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	return get[[]Route](ctx, c, "v1", "routes")
}

// Route returns one route, which is called by its id.
func (c *Client) Route(ctx context.Context, id string) (RouteConfig, error) {
	return get[RouteConfig](ctx, c, "v1", "routes", id)
}

// SetRoute makes a route what value says, in YAML or JSON as in the file.
func (c *Client) SetRoute(ctx context.Context, id string, value []byte, change Change) (RouteConfig, error) {
	return send[RouteConfig](ctx, c, http.MethodPut, change, mediaYAML, value, "v1", "routes", id)
}

// PatchRoute changes a route by a merge patch (RFC 7396).
func (c *Client) PatchRoute(ctx context.Context, id string, patch []byte, change Change) (RouteConfig, error) {
	return send[RouteConfig](ctx, c, http.MethodPatch, change, mediaPatch, patch, "v1", "routes", id)
}

// ResetRoute takes back what the API has changed of a route.
func (c *Client) ResetRoute(ctx context.Context, id string, change Change) error {
	req, err := c.request(ctx, http.MethodDelete, nil, "v1", "routes", id)
	if err != nil {
		return err
	}
	change.apply(req)
	return c.do(req, nil)
}

// Config returns the configuration in force.
func (c *Client) Config(ctx context.Context) (Configuration, error) {
	return get[Configuration](ctx, c, "v1", "config")
}

// SetConfig puts a configuration in force: the text of the main file, in YAML.
func (c *Client) SetConfig(ctx context.Context, text []byte, change Change) (Configuration, error) {
	return send[Configuration](ctx, c, http.MethodPut, change, mediaYAML, text, "v1", "config")
}

// CheckConfig returns what is to be said of a configuration, and how it differs from
// the one in force, without putting it in force.
func (c *Client) CheckConfig(ctx context.Context, text []byte) (Check, error) {
	return send[Check](ctx, c, http.MethodPost, Change{}, mediaYAML, text, "v1", "config", "check")
}

// History returns the configurations that were in force, the latest first.
func (c *Client) History(ctx context.Context) ([]Revision, error) {
	return get[[]Revision](ctx, c, "v1", "config", "history")
}

// RollBackConfig puts a revision in force again; 0 stands for the one before the
// current one.
func (c *Client) RollBackConfig(ctx context.Context, number int, change Change) (Configuration, error) {
	return send[Configuration](ctx, c, http.MethodPost, change, "", nil, "v1", "config", "rollback", strconv.Itoa(number))
}

// Explain returns what would become of a request.
func (c *Client) Explain(ctx context.Context, request ExplainRequest) (Explanation, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return Explanation{}, err
	}
	return send[Explanation](ctx, c, http.MethodPost, Change{}, mediaJSON, body, "v1", "explain")
}

// ReopenLogs makes log files be opened anew, after something else has moved them.
func (c *Client) ReopenLogs(ctx context.Context) error {
	req, err := c.request(ctx, http.MethodPost, nil, "v1", "logs", "reopen")
	if err != nil {
		return err
	}
	return c.do(req, nil)
}
