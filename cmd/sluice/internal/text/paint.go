package text

// Style is how text looks on a terminal that has colours (ECMA-48, SGR).
type Style string

// The styles.
const (
	Plain  Style = ""
	Bold   Style = "1"
	Dim    Style = "2"
	Red    Style = "31"
	Green  Style = "32"
	Yellow Style = "33"
	Cyan   Style = "36"
)

// Paint says whether text is given a style.
type Paint bool

// In returns s in a style.
func (p Paint) In(style Style, s string) string {
	if !p || style == Plain || s == "" {
		return s
	}
	return "\x1b[" + string(style) + "m" + s + "\x1b[0m"
}
