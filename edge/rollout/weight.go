package rollout

import (
	"fmt"
	"strconv"
	"strings"
)

// Weight is a share of the traffic, in thousandths of a percent.
type Weight uint32

const (
	// Percent is the weight of one percent.
	Percent Weight = 1000
	// Whole is the weight of everything: what the weights of a rollout add up to.
	Whole = 100 * Percent
)

// ParseWeight reads a share as it is written in the configuration: "5%", "2.5%",
// "0.001%". Three decimals are what there is.
func ParseWeight(s string) (Weight, error) {
	number, ok := strings.CutSuffix(s, "%")
	if !ok {
		return 0, fmt.Errorf("want a share like 5%% or 2.5%%, not %q", s)
	}
	units, decimals, point := strings.Cut(number, ".")
	if !digits(units) || point && !digits(decimals) {
		return 0, fmt.Errorf("want a share like 5%% or 2.5%%, not %q", s)
	}
	if len(strings.TrimRight(decimals, "0")) > 3 {
		return 0, fmt.Errorf("%q has more than three decimals", s)
	}
	thousandths, _ := strconv.Atoi((decimals + "000")[:3])
	n, err := strconv.Atoi(units)
	if err != nil || n > 100 || n == 100 && thousandths > 0 {
		return 0, fmt.Errorf("%q is more than 100%%", s)
	}
	return Weight(n)*Percent + Weight(thousandths), nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String returns the weight as ParseWeight reads it.
func (w Weight) String() string {
	s := strconv.FormatUint(uint64(w/Percent), 10)
	if rest := w % Percent; rest != 0 {
		s += "." + strings.TrimRight(fmt.Sprintf("%03d", rest), "0")
	}
	return s + "%"
}

// check returns what is wrong with weights of n arms, or nil.
func check(n int, weights []Weight) error {
	if len(weights) != n {
		return fmt.Errorf("%d weights for %d arms", len(weights), n)
	}
	sum := uint64(0)
	for _, w := range weights {
		sum += uint64(w)
	}
	if sum != uint64(Whole) {
		return fmt.Errorf("the weights add up to %s, not to 100%%", Weight(min(sum, uint64(^Weight(0)))))
	}
	return nil
}
