package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
)

// rule says for whom a flag is on: the first clause whose conditions hold decides,
// and if none does, it is off.
//
//	off plan=free; on user=ann,bob; 10% country=DE,AT
type rule struct {
	text    string
	clauses []clause
}

// clause is a share of the users for whom all conditions hold.
type clause struct {
	share float64 // percent
	where []condition
}

// condition is that a fact has one of some values.
type condition struct {
	fact   string
	values []string
}

// maxRule is how long a rule may be, in bytes.
const maxRule = 1024

// userFact is whose values the shares are dealt among.
const userFact = "user"

func parse(text string) (rule, error) {
	if len(text) > maxRule {
		return rule{}, fmt.Errorf("the rule has %d bytes, more than %d", len(text), maxRule)
	}
	r := rule{text: strings.TrimSpace(text)}
	for part := range strings.SplitSeq(r.text, ";") {
		words := strings.Fields(part)
		if len(words) == 0 {
			return rule{}, errors.New(`a clause is empty: want "on", "off" or a share like "10%", then conditions`)
		}
		share, err := parseShare(words[0])
		if err != nil {
			return rule{}, err
		}
		c := clause{share: share}
		for _, w := range words[1:] {
			fact, list, ok := strings.Cut(w, "=")
			values := strings.Split(list, ",")
			if !ok || fact == "" || slices.Contains(values, "") {
				return rule{}, fmt.Errorf("the condition is %q, want FACT=VALUE or FACT=VALUE,VALUE", w)
			}
			c.where = append(c.where, condition{fact, values})
		}
		r.clauses = append(r.clauses, c)
	}
	return r, nil
}

func parseShare(word string) (float64, error) {
	switch word {
	case "on":
		return 100, nil
	case "off":
		return 0, nil
	}
	number, percent := strings.CutSuffix(word, "%")
	digits := !strings.ContainsFunc(number, func(c rune) bool { return c != '.' && (c < '0' || c > '9') })
	share, err := strconv.ParseFloat(number, 64)
	if !percent || !digits || err != nil || share > 100 {
		return 0, fmt.Errorf(`the share is %q, want "on", "off" or 0%% to 100%%`, word)
	}
	return share, nil
}

// UnmarshalJSON implements json.Unmarshaler. In YAML, on and off may be truth values.
func (r *rule) UnmarshalJSON(data []byte) (err error) {
	var text string
	switch string(data) {
	case "true":
		text = "on"
	case "false":
		text = "off"
	default:
		if err := json.Unmarshal(data, &text); err != nil {
			return fmt.Errorf("%s is no rule", data)
		}
	}
	*r, err = parse(text)
	return err
}

// knows returns an error if the rule is about a fact that there is not.
func (r rule) knows(facts map[string]source) error {
	for _, c := range r.clauses {
		if _, ok := facts[userFact]; !ok && c.share > 0 && c.share < 100 {
			return fmt.Errorf("%v%% of whom? facts does not say where %q is", c.share, userFact)
		}
		for _, w := range c.where {
			if _, ok := facts[w.fact]; !ok {
				return fmt.Errorf("there is no fact %q in facts", w.fact)
			}
		}
	}
	return nil
}

// on reports whether a flag with this rule is on for who has these facts.
func (r rule) on(flag string, fact func(name string) string) bool {
	for _, c := range r.clauses {
		if c.holds(fact) {
			return c.deals(flag, fact)
		}
	}
	return false
}

func (c clause) holds(fact func(string) string) bool {
	for _, w := range c.where {
		if !slices.Contains(w.values, fact(w.fact)) {
			return false
		}
	}
	return true
}

// deals reports whether a user is within the share. Who is nobody is in no share but
// the whole.
func (c clause) deals(flag string, fact func(string) string) bool {
	if c.share == 0 || c.share == 100 {
		return c.share == 100
	}
	user := fact(userFact)
	return user != "" && percent(flag, user) < c.share
}

// percent returns where in 0 to 100 a user falls for a flag: always at the same
// place, so that who is within a share stays so when it grows, and for each flag at
// another, so that not always the same users are the first.
func percent(flag, user string) float64 {
	h := fnv.New64a()
	h.Write([]byte(flag))
	h.Write([]byte{0})
	h.Write([]byte(user))
	// Texts that differ in their last letters only have hashes that are alike, until
	// the bits are mixed (as MurmurHash3 does in the end).
	n := h.Sum64()
	n = (n ^ n>>33) * 0xff51afd7ed558ccd
	n = (n ^ n>>33) * 0xc4ceb9fe1a85ec53
	return float64((n^n>>33)>>11) / (1 << 53) * 100
}
