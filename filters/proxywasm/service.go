package proxywasm

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/sluice-edge/sluice/edge"
)

// service is whom a call of gRPC is for.
type service struct {
	upstream  string
	authority string // "": the upstream's name
	metadata  edge.Fields
}

// parseService reads what a guest calls: the name of an upstream, which may be one of
// those that are known, or Envoy's GrpcService with a cluster or a target that is one:
// https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/grpc_service.proto
func parseService(b []byte, known []string) (s service) {
	if !slices.Contains(known, asText(b)) && parseGrpcService(&s, b) && s.upstream != "" {
		return s
	}
	return service{upstream: strings.Clone(asText(b))}
}

// parseGrpcService reads a message in protobuf. What it does not know is left out.
func parseGrpcService(s *service, b []byte) bool {
	return eachField(b, func(field uint64, value []byte) bool {
		switch field {
		case 1: // envoy_grpc
			return eachField(value, func(field uint64, value []byte) bool {
				switch field {
				case 1:
					s.upstream = string(value)
				case 2:
					s.authority = string(value)
				}
				return true
			})
		case 2: // google_grpc
			return eachField(value, func(field uint64, value []byte) bool {
				if field == 1 {
					s.upstream = string(value)
				}
				return true
			})
		case 5: // initial_metadata
			var name, text string
			ok := eachField(value, func(field uint64, value []byte) bool {
				switch field {
				case 1:
					name = string(value)
				case 2, 3:
					text = string(value)
				}
				return true
			})
			if ok && edge.IsToken(name) && isValue(text) {
				s.metadata.Add(name, text)
			}
			return ok
		}
		return true
	})
}

// eachField calls f with the fields of a message that are of bytes, and reports whether
// it is one and f has returned true:
// https://protobuf.dev/programming-guides/encoding/
func eachField(b []byte, f func(field uint64, value []byte) bool) bool {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 || key>>3 == 0 || key > 1<<32-1 {
			return false
		}
		b = b[n:]
		size := 0
		switch key & 7 {
		case 0: // a number
			if _, size = binary.Uvarint(b); size <= 0 {
				return false
			}
		case 1: // 8 bytes
			size = 8
		case 2: // bytes
			length, n := binary.Uvarint(b)
			if n <= 0 || length > uint64(len(b)-n) {
				return false
			}
			if !f(key>>3, b[n:n+int(length)]) {
				return false
			}
			size = n + int(length)
		case 5: // 4 bytes
			size = 4
		default: // groups are no more
			return false
		}
		if size > len(b) {
			return false
		}
		b = b[size:]
	}
	return true
}
