package config

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-edge/sluice/filters/deploy"
)

// versionForm is a version of a module.
var versionForm = scalarForm("a version like `@3`", "^@[1-9][0-9]{0,9}$")

// deployKeys are the keys of a filter or function that say which versions of its module
// run.
func deployKeys[T any](of func(*T) *Deploy) []key[T] {
	return []key[T]{
		{"deploy", "", freeForm("versions like `@3`", percentForm), "The versions that serve, one or two, with their shares: `{ \"@3\": 95%, \"@4\": 5% }`. Which of them serves a client is decided by the hash of its address, and stays while the shares stay. Without it the current version serves: the one that was uploaded last, or gone back to.",
			func(d *decoder, v value, t *T) { of(t).Versions = d.deployed(v) }},
		{"shadow", "", versionForm, "A version that runs on copies of the traffic: what it would have made of them is compared with what came of them, and dropped.",
			func(d *decoder, v value, t *T) { of(t).Shadow = d.deployedVersion(v) }},
		{"guard", "off", anyText("`off`, or like `roll back if traps > 0.1% or errors > 1% or time > 2x over 1m after 50 requests`"),
			"When the newer of two versions is to be rolled back: if the module fails on more than a share of its requests, if more than a share is answered with 5xx or breaks off, or if its median time is more than so many times the older version's. A share must be too high for chance, and higher than the older version's. Without `over` the last minute counts, without `after` there is no judgement before 50 requests.",
			func(d *decoder, v value, t *T) { of(t).Guard = d.guard(v) }},
	}
}

// deployed reads versions with their shares, and returns them in the order of their
// numbers.
func (d *decoder) deployed(v value) []Deployed {
	if v.kind != mapping {
		d.wants(v, "a map of versions to percentages").Hint = `write { "@3": 95%, "@4": 5% }`
		return nil
	}
	var out []Deployed
	before, sum := d.problems.Len(), 0.0
	d.each(v, func(name string, k, child value) {
		one := Deployed{Version: d.deployedVersion(k)}
		if text, ok := d.text(child, "a percentage like 5%"); ok {
			share, err := parsePercent(text)
			if err != nil {
				d.errorf(child, "%s is no percentage: %v", d.quote(child), d.hide(child, err))
			}
			one.Share = share
			sum += share
		}
		out = append(out, one)
	})
	slices.SortFunc(out, func(a, b Deployed) int { return cmp.Compare(a.Version, b.Version) })
	switch {
	case d.problems.Len() > before:
	case len(out) == 0:
		d.errorf(v, "a deployment needs a version")
	case len(out) > 2:
		d.errorf(v, "there are %d versions here, and two at most serve at a time", len(out)).Hint = "a third can run in shadow"
	case sum < 99.999 || sum > 100.001:
		d.errorf(v, "the shares add up to %s%%, not to 100%%", strconv.FormatFloat(sum, 'f', -1, 64))
	}
	return out
}

// deployedVersion reads a version of a module.
func (d *decoder) deployedVersion(v value) int {
	s, ok := d.text(v, "a version like @3")
	if !ok {
		return 0
	}
	number, found := strings.CutPrefix(s, "@")
	n, err := strconv.Atoi(number)
	if err == nil && n >= 1 && n <= maxVersion && strconv.Itoa(n) == number {
		if found {
			return n
		}
		d.wants(v, "a version like @3").Hint = `write "@` + number + `"`
		return 0
	}
	d.wants(v, "a version like @3")
	return 0
}

func (d *decoder) guard(v value) deploy.Guard {
	s, ok := d.text(v, "off, or a sentence like: roll back if traps > 0.1%")
	if !ok {
		return deploy.Guard{}
	}
	if on, is := isSwitch(s); is && !on {
		return deploy.Guard{}
	}
	g, err := deploy.ParseGuard(s)
	if err != nil {
		d.errorf(v, "%s is no guard: %v", d.quote(v), d.hide(v, err))
	}
	return g
}

// checkDeploy checks what the keys of a deployment say together.
func (d *decoder) checkDeploy(have map[string]value, c *Deploy) {
	shadow, ok := have["shadow"]
	if ok && c.Shadow != 0 && slices.ContainsFunc(c.Versions, func(o Deployed) bool { return o.Version == c.Shadow }) {
		d.errorf(shadow, "version %d serves already, and cannot run in shadow of itself", c.Shadow)
	}
}
