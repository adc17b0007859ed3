package sdk

// host is what a filter runs in: the imports of a module, or a program's own
// memory.
type host interface {
	enable(Features) Features
	text(text) string
	setText(text, string)
	names(kind) []string
	values(kind, string) []string
	setField(k kind, name, value string)
	addField(k kind, name, value string)
	delField(k kind, name string)
	read(kind, []byte) (n int, last bool)
	write(kind, []byte)
	status() int
	setStatus(int)
}

// kind says which fields or content is meant, as in the ABI.
type kind uint32

const (
	requestFields kind = iota
	responseFields
	requestTrailers
	responseTrailers
)

// text is a part of the request's head.
type text uint8

const (
	method text = iota
	uri
	proto
	client
)
