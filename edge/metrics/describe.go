package metrics

import "time"

// Metric is one of the metrics that there are.
type Metric uint8

// The metrics. The table below says what each means.
const (
	RequestsTotal Metric = iota
	RequestDuration
	InFlight
	RequestBytes
	ResponseBytes

	UpstreamRequests
	UpstreamErrors
	UpstreamDuration
	UpstreamInFlight
	UpstreamIdle
	UpstreamRetries

	CacheRequests
	CacheBytes
	CacheEntries
	CacheEvictions

	CompressIn
	CompressOut

	FilterDuration
	FilterErrors
	FilterMemory
	FilterInstances
	FilterShadow
	FilterRollbacks

	FunctionRequests
	FunctionDuration
	FunctionErrors
	FunctionShadow
	FunctionRollbacks
	FunctionScheduled
	FunctionScheduledOK

	SplitRequests

	CertNotAfter

	ConfigReloaded
	ConfigReloads

	Connections

	AccessLogDropped

	BuildInfo

	metricCount = iota
)

// Labels of several metrics.
var (
	site     = Label{"site", "names of sites; empty where no site was found"}
	route    = Label{"route", "names of routes, which are unique in their site; empty where none was found"}
	upstream = Label{"upstream", "names of upstreams"}
	endpoint = Label{"endpoint", "addresses of endpoints"}
	filter   = Label{"filter", "names of filters"}
	function = Label{"function", "names of functions"}
	version  = Label{"version", "number of the module's version"}
	encoding = Label{"encoding", "`br`, `zstd`, `gzip`"}
	verdict  = Label{"verdict", "`same`: it would have made the same of it; `differs`; `failed`: its module did; `dropped`: it got no copy"}
	cause    = Label{"cause", "`trap`, `timeout`, `exit`, `abi`, `busy`, `oversized`, `closed`, `stopped`"}
)

// bounds returns the upper bounds of the buckets of a histogram.
func (m Metric) bounds() []time.Duration {
	if m == FilterDuration || m == FunctionDuration {
		return Bounds[:]
	}
	return Bounds[fineBounds:]
}

// descriptions is the one table of metrics.
var descriptions = [metricCount]Description{
	RequestsTotal: {"sluice_requests_total", CounterType, "Requests that have ended.", []Label{site, route,
		{"method", "`GET`, `HEAD`, `POST`, `PUT`, `DELETE`, `CONNECT`, `OPTIONS`, `TRACE`, `PATCH`; `_other`"},
		{"code", "status from `100` to `599`; `_other` where nothing was answered"},
		{"proto", "`h1`, `h2`, `h3`"}}, false},
	RequestDuration: {"sluice_request_duration_seconds", HistogramType, "Time from a request's head to the end of its answer.", []Label{site, route}, false},
	InFlight:        {"sluice_inflight", GaugeType, "Requests in progress, tunnels included.", []Label{site, route}, false},
	RequestBytes:    {"sluice_request_bytes_total", CounterType, "Bytes of content that were read from clients.", []Label{site, route}, false},
	ResponseBytes:   {"sluice_response_bytes_total", CounterType, "Bytes of content that were sent to clients.", []Label{site, route}, false},

	UpstreamRequests: {"sluice_upstream_requests_total", CounterType, "Requests that were given to an endpoint, each try for itself.", []Label{upstream, endpoint}, false},
	UpstreamErrors: {"sluice_upstream_errors_total", CounterType, "Requests that failed at an endpoint, at the head of the answer or later.", []Label{upstream, endpoint,
		{"kind", "error types of RFC 9209, section 2.3, as `connection_refused`; and `client_gone`"}}, false},
	UpstreamDuration: {"sluice_upstream_duration_seconds", HistogramType, "Time from giving a request to an endpoint until the head of its answer.", []Label{upstream, endpoint}, false},
	UpstreamInFlight: {"sluice_upstream_inflight", GaugeType, "Requests in progress at an endpoint.", []Label{upstream, endpoint}, false},
	UpstreamIdle:     {"sluice_upstream_idle", GaugeType, "Connections to an endpoint that wait for a request.", []Label{upstream, endpoint}, false},
	UpstreamRetries:  {"sluice_upstream_retries_total", CounterType, "Tries of requests after their first, at the endpoint that was tried last.", []Label{upstream, endpoint}, false},

	CacheRequests: {"sluice_cache_requests_total", CounterType, "Requests to routes with a cache, by what it did.", []Label{site, route,
		{"result", "`hit`, `stale`, `miss`, `revalidated`, `pass`, `bypass`; `_other`"}}, false},
	CacheBytes:     {"sluice_cache_bytes", GaugeType, "Memory that the cache uses.", nil, false},
	CacheEntries:   {"sluice_cache_entries", GaugeType, "Responses that the cache holds.", nil, false},
	CacheEvictions: {"sluice_cache_evictions_total", CounterType, "Keys that gave way to others in the cache.", nil, false},

	CompressIn:  {"sluice_compress_in_bytes_total", CounterType, "Bytes of content before it was encoded.", []Label{encoding}, false},
	CompressOut: {"sluice_compress_out_bytes_total", CounterType, "Bytes of content after it was encoded.", []Label{encoding}, false},

	FilterDuration:  {"sluice_filter_duration_seconds", HistogramType, "Time that a request spent in a filter, without what lies behind it.", []Label{filter, version}, false},
	FilterErrors:    {"sluice_filter_errors_total", CounterType, "Requests that a filter failed, whatever came of them.", []Label{filter, version, cause}, false},
	FilterMemory:    {"sluice_filter_memory_bytes", GaugeType, "Memory that a filter's instances hold.", []Label{filter, version}, false},
	FilterInstances: {"sluice_filter_instances", GaugeType, "Instances of a filter, in use or waiting.", []Label{filter, version}, false},
	FilterShadow:    {"sluice_filter_shadow_total", CounterType, "Requests that a version of a filter in shadow was to have a copy of.", []Label{filter, version, verdict}, false},
	FilterRollbacks: {"sluice_filter_rollbacks_total", CounterType, "Roll backs of a filter by its guard.", []Label{filter}, false},

	FunctionRequests: {"sluice_function_requests_total", CounterType, "Requests that were given to a function.", []Label{function, version}, false},
	FunctionDuration: {"sluice_function_duration_seconds", HistogramType, "Time from giving a request to a function until it has ended.", []Label{function, version}, false},
	FunctionErrors:   {"sluice_function_errors_total", CounterType, "Requests that a function failed.", []Label{function, version, cause}, false},
	FunctionShadow:   {"sluice_function_shadow_total", CounterType, "Requests that a version of a function in shadow was to have a copy of.", []Label{function, version, verdict}, false},

	FunctionRollbacks: {"sluice_function_rollbacks_total", CounterType, "Roll backs of a function by its guard.", []Label{function}, false},

	FunctionScheduled: {"sluice_function_scheduled_total", CounterType, "Runs of a function that were due by its schedule.", []Label{function,
		{"outcome", "`ok`: answered with 2xx; `failed`; `skipped`: the run before had not ended"}}, false},
	FunctionScheduledOK: {"sluice_function_scheduled_last_success_seconds", GaugeType, "When the last run by its schedule began that has not failed, in seconds since 1970.", []Label{function}, true},

	SplitRequests: {"sluice_split_requests_total", CounterType, "Requests by the arm of the route's split.", []Label{site, route, {"arm", "names of arms"}}, false},

	CertNotAfter: {"sluice_tls_cert_not_after_seconds", GaugeType, "When a certificate expires, in seconds since 1970.", []Label{{"name", "names that certificates are for"}}, true},

	ConfigReloaded: {"sluice_config_last_reload_success", GaugeType, "Whether the last configuration was taken: 1, or 0 if the one before is in force.", nil, false},
	ConfigReloads:  {"sluice_config_reloads_total", CounterType, "Configurations that were taken after the first.", nil, false},

	Connections: {"sluice_connections", GaugeType, "Open connections of clients.", []Label{{"proto", "`h1`, `h2`, `h3`"}, {"state", "`active`: with a request in progress; `idle`; `tunnel`: a WebSocket or the like"}}, false},

	AccessLogDropped: {"sluice_accesslog_dropped_lines_total", CounterType, "Lines of the access log that its output did not take.", nil, false},

	BuildInfo: {"sluice_build_info", GaugeType, "Always 1; the labels say what is running.", []Label{{"version", "of sluice"}, {"revision", "of its source"}, {"goversion", "of Go"}}, false},
}
