// Waf is the Coraza web application firewall with the OWASP Core Rule Set. See
// README.md.
package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	coreruleset "github.com/corazawaf/coraza-coreruleset/v4"
	"github.com/corazawaf/coraza/v3"
	"github.com/corazawaf/coraza/v3/types"
	"github.com/sluice-edge/sluice/sdk"
	"github.com/sluice-edge/sluice/sdk/config"
)

func init() { sdk.Handle(new(firewall).filter()) }

func main() {}

// firewall is the filter with its configuration.
type firewall struct {
	Mode      string   `json:"mode"`      // block, which is the default, or detect
	Paranoia  int      `json:"paranoia"`  // level of the rules, 1 to 4; default 1
	Threshold int      `json:"threshold"` // anomaly score from which a request is refused; default 5, one critical rule
	Exclude   []int    `json:"exclude"`   // ids of rules that are taken out
	Rules     []string `json:"rules"`     // further directives, behind those of the rule set
	Responses bool     `json:"responses"` // whether answers are looked at too, which holds them back until they are complete

	waf coraza.WAF
}

func (f *firewall) filter() sdk.Filter {
	return sdk.Filter{Features: sdk.BufferRequest, Configure: f.configure, Request: f.request, Response: f.response}
}

func (f *firewall) configure(data []byte) error {
	f.Mode, f.Paranoia, f.Threshold = "block", 1, 5
	if len(data) > 0 {
		if err := config.Unmarshal(data, f); err != nil {
			return err
		}
	}
	engine := map[string]string{"block": "On", "detect": "DetectionOnly"}[f.Mode]
	switch {
	case engine == "":
		return fmt.Errorf("mode is %q, want block or detect", f.Mode)
	case f.Paranoia < 1 || f.Paranoia > 4:
		return fmt.Errorf("paranoia is %d, want 1 to 4", f.Paranoia)
	case f.Threshold < 1:
		return fmt.Errorf("threshold is %d, want at least 1", f.Threshold)
	}
	directives := []string{
		"Include @coraza.conf-recommended",
		"SecRuleEngine " + engine,
		"SecAuditEngine Off",
		"SecResponseBodyAccess " + map[bool]string{true: "On", false: "Off"}[f.Responses],
		"Include @crs-setup.conf.example",
		fmt.Sprintf(`SecAction "id:1,phase:1,pass,nolog,setvar:tx.blocking_paranoia_level=%d,setvar:tx.inbound_anomaly_score_threshold=%d,setvar:tx.outbound_anomaly_score_threshold=%[2]d"`, f.Paranoia, f.Threshold),
		"Include @owasp_crs/*.conf",
	}
	for _, id := range f.Exclude {
		directives = append(directives, "SecRuleRemoveById "+strconv.Itoa(id))
	}
	var err error
	f.waf, err = coraza.NewWAF(coraza.NewWAFConfig().
		WithRootFS(coreruleset.FS).
		WithDirectives(strings.Join(append(directives, f.Rules...), "\n")).
		WithErrorCallback(func(m types.MatchedRule) { sdk.Log(sdk.Warn, m.ErrorLog()) }))
	return err
}

func (f *firewall) request(x *sdk.Exchange) sdk.Verdict {
	tx := f.waf.NewTransaction()
	x.Value = tx
	host, port, err := net.SplitHostPort(x.Request.Client())
	if err != nil {
		return broken(x, tx, err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return broken(x, tx, err)
	}
	tx.ProcessConnection(host, number, "", 0)
	tx.ProcessURI(x.Request.URI(), x.Request.Method(), x.Request.Proto())
	for _, name := range x.Request.Fields.Names() {
		for _, value := range x.Request.Fields.Values(name) {
			tx.AddRequestHeader(name, value)
		}
	}
	tx.SetServerName(x.Request.Fields.Get("Host"))
	if i := tx.ProcessRequestHeaders(); i != nil {
		return refuse(x, tx, i)
	}
	if tx.IsRequestBodyAccessible() {
		i, _, err := tx.ReadRequestBodyFrom(x.Request.Body)
		if err != nil {
			return broken(x, tx, err)
		}
		if i != nil {
			return refuse(x, tx, i)
		}
	}
	i, err := tx.ProcessRequestBody()
	if err != nil {
		return broken(x, tx, err)
	}
	if i != nil {
		return refuse(x, tx, i)
	}
	if f.Responses {
		x.Enable(sdk.BufferResponse)
	}
	return sdk.Next
}

func (f *firewall) response(x *sdk.Exchange) {
	tx, ok := x.Value.(types.Transaction)
	if !ok || !f.Responses {
		return
	}
	defer tx.ProcessLogging()
	for _, name := range x.Response.Fields.Names() {
		for _, value := range x.Response.Fields.Values(name) {
			tx.AddResponseHeader(name, value)
		}
	}
	if i := tx.ProcessResponseHeaders(x.Response.Status(), x.Request.Proto()); i != nil {
		replace(x, i)
		return
	}
	if !tx.IsResponseBodyAccessible() || !tx.IsResponseBodyProcessable() {
		return
	}
	if i, _, err := tx.ReadResponseBodyFrom(x.Response.Body); err != nil || i != nil {
		replace(x, i)
		return
	}
	if i, err := tx.ProcessResponseBody(); err != nil || i != nil {
		replace(x, i)
	}
}

// refuse answers a request that is refused.
func refuse(x *sdk.Exchange, tx types.Transaction, i *types.Interruption) sdk.Verdict {
	tx.ProcessLogging()
	return x.Answer(status(i), "This request was refused.\n")
}

// replace answers instead of the origin, whose answer is refused.
func replace(x *sdk.Exchange, i *types.Interruption) {
	for _, name := range x.Response.Fields.Names() {
		x.Response.Fields.Del(name)
	}
	x.Answer(status(i), "This answer was refused.\n")
}

func status(i *types.Interruption) int {
	if i == nil || i.Status == 0 {
		return 403
	}
	return i.Status
}

// broken answers a request that the firewall cannot look at: it is not let through.
func broken(x *sdk.Exchange, tx types.Transaction, err error) sdk.Verdict {
	sdk.Log(sdk.Error, "the request cannot be checked: "+err.Error())
	tx.ProcessLogging()
	return x.Answer(500, "This request could not be checked.\n")
}
