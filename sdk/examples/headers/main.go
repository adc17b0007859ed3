// Headers adds, sets and removes fields of the request, and sets one of the
// response.
package main

import "github.com/sluice-edge/sluice/sdk"

func init() { sdk.Handle(sdk.Filter{Request: request}) }

func main() {}

func request(x *sdk.Exchange) sdk.Verdict {
	f := x.Request.Fields
	f.Set("X-Through", "sluice")
	f.Add("X-Seen", "headers")
	f.Del("X-Debug")
	x.Response.Fields.Set("X-Sluice-Filter", "headers")
	return sdk.Next
}
