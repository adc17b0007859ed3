package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// Filters returns all filters.
func (c *Client) Filters(ctx context.Context) ([]Filter, error) {
	return get[[]Filter](ctx, c, "v1", "filters")
}

// Filter returns one filter.
func (c *Client) Filter(ctx context.Context, name string) (Filter, error) {
	return get[Filter](ctx, c, "v1", "filters", name)
}

// PushFilter uploads a module of size bytes as a new version of a filter. Unless
// it is nil, progress is told how many bytes have been sent so far; it runs on
// another goroutine, and not any more when PushFilter has returned. A Read of
// module must not wait for long: an early refusal waits for it.
func (c *Client) PushFilter(ctx context.Context, name string, module io.Reader, size int64, use Use, progress func(sent int64)) (ModuleVersion, error) {
	q := make(url.Values)
	if use.Route != "" {
		q.Set("on", use.Route)
	}
	if use.Config != "" {
		q.Set("config", use.Config)
	}
	return c.push(ctx, module, size, q, use, progress, "v1", "filters", name)
}

// RemoveFilter removes a filter with all its versions.
func (c *Client) RemoveFilter(ctx context.Context, name string) error {
	return c.remove(ctx, "v1", "filters", name)
}

// RollBackFilter makes the version before the one that is live the live one, and
// returns it.
func (c *Client) RollBackFilter(ctx context.Context, name string) (ModuleVersion, error) {
	return send[ModuleVersion](ctx, c, http.MethodPost, Change{}, "", nil, "v1", "filters", name, "rollback")
}

// DeployFilter changes which versions of a filter run, and returns them.
func (c *Client) DeployFilter(ctx context.Context, name string, change DeploymentChange, how Change) (Deployment, error) {
	return c.deploy(ctx, change, how, "v1", "filters", name, "deployment")
}

// FilterShadow returns what the version of a filter in shadow has come to.
func (c *Client) FilterShadow(ctx context.Context, name string) (Shadow, error) {
	return get[Shadow](ctx, c, "v1", "filters", name, "shadow")
}

// Functions returns all functions.
func (c *Client) Functions(ctx context.Context) ([]Function, error) {
	return get[[]Function](ctx, c, "v1", "functions")
}

// Function returns one function.
func (c *Client) Function(ctx context.Context, name string) (Function, error) {
	return get[Function](ctx, c, "v1", "functions", name)
}

// PushFunction uploads a module as a new version of a function, as PushFilter does.
func (c *Client) PushFunction(ctx context.Context, name string, module io.Reader, size int64, use Use, progress func(sent int64)) (ModuleVersion, error) {
	q := make(url.Values)
	if use.Route != "" {
		q.Set("route", use.Route)
	}
	return c.push(ctx, module, size, q, use, progress, "v1", "functions", name)
}

// RemoveFunction removes a function with all its versions.
func (c *Client) RemoveFunction(ctx context.Context, name string) error {
	return c.remove(ctx, "v1", "functions", name)
}

// RollBackFunction makes the version before the one that is live the live one, and
// returns it.
func (c *Client) RollBackFunction(ctx context.Context, name string) (ModuleVersion, error) {
	return send[ModuleVersion](ctx, c, http.MethodPost, Change{}, "", nil, "v1", "functions", name, "rollback")
}

// DeployFunction changes which versions of a function run, and returns them.
func (c *Client) DeployFunction(ctx context.Context, name string, change DeploymentChange, how Change) (Deployment, error) {
	return c.deploy(ctx, change, how, "v1", "functions", name, "deployment")
}

// FunctionShadow returns what the version of a function in shadow has come to.
func (c *Client) FunctionShadow(ctx context.Context, name string) (Shadow, error) {
	return get[Shadow](ctx, c, "v1", "functions", name, "shadow")
}

// FunctionLogs returns the last lines that a function has written to its standard
// error, and, if follow is true, goes on with those that it writes from now on until
// ctx is done. Who gets it closes it.
func (c *Client) FunctionLogs(ctx context.Context, name string, follow bool) (io.ReadCloser, error) {
	return c.stream(ctx, "text/plain", follow, "v1", "functions", name, "logs")
}

// stream returns a resource that may go on, if follow is true, until ctx is done. Who
// gets it closes it.
func (c *Client) stream(ctx context.Context, kind string, follow bool, path ...string) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, nil, path...)
	if err != nil {
		return nil, err
	}
	if follow {
		req.URL.RawQuery = "follow=1"
	}
	req.Header.Set("Accept", kind+", "+ContentType)
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(req, err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	if err := c.answer(res, nil); err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("%s answers with status %d", c.addr, res.StatusCode)
}

func (c *Client) push(ctx context.Context, module io.Reader, size int64, q url.Values, use Use, progress func(sent int64), path ...string) (ModuleVersion, error) {
	var v ModuleVersion
	method := http.MethodPut
	if use.Store {
		method, path = http.MethodPost, append(path, "versions")
	}
	body := &upload{r: module, progress: progress}
	defer body.stop()
	req, err := c.request(ctx, method, body, path...)
	if err != nil {
		return v, err
	}
	req.URL.RawQuery = q.Encode()
	Change{DryRun: use.DryRun, IfMatch: use.IfMatch}.apply(req)
	req.ContentLength = size
	req.Header.Set("Content-Type", "application/wasm")
	req.Header.Set("Expect", "100-continue") // a refusal comes before the upload
	err = c.do(req, &v)
	return v, err
}

func (c *Client) deploy(ctx context.Context, change DeploymentChange, how Change, path ...string) (Deployment, error) {
	body, err := json.Marshal(change)
	if err != nil {
		return Deployment{}, err
	}
	return send[Deployment](ctx, c, http.MethodPut, how, mediaJSON, body, path...)
}

func (c *Client) remove(ctx context.Context, path ...string) error {
	req, err := c.request(ctx, http.MethodDelete, nil, path...)
	if err != nil {
		return err
	}
	return c.do(req, nil)
}
