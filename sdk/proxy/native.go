//go:build !wasip1

package proxy

// There is no proxy around a program that is no module.

func kvGet(_ string, _ string, _ []byte, _ *int64) int32         { return int32(Unavailable) }
func kvSet(_ string, _ string, _ []byte, _ int64, _ int64) int64 { return int64(Unavailable) }
func kvDelete(_ string, _ string, _ int64) int32                 { return int32(Unavailable) }
func kvAdd(_ string, _ string, _ int64, _ int64, _ *int64) int32 { return int32(Unavailable) }
func kvList(_ string, _ string, _ string, _ []byte) int64        { return int64(Unavailable) }
func fetchStart(_ string, _ string, _ string, _ string, _ int64, _ uint32) int32 {
	return int32(Unavailable)
}
func fetchWrite(_ int32, _ []byte) int32              { return int32(Unavailable) }
func fetchFinish(_ int32) int32                       { return int32(Unavailable) }
func fetchStatus(_ int32) int32                       { return int32(Unavailable) }
func fetchNames(_ int32, _ []byte) int64              { return int64(Unavailable) }
func fetchValues(_ int32, _ string, _ []byte) int64   { return int64(Unavailable) }
func fetchRead(_ int32, _ []byte) int32               { return int32(Unavailable) }
func fetchClose(_ int32) int32                        { return int32(Unavailable) }
func metricDefine(_ uint32, _ string, _ string) int32 { return int32(Unavailable) }
func metricAdd(_ int32, _ int64) int32                { return int32(Unavailable) }
func metricRecord(_ int32, _ int64) int32             { return int32(Unavailable) }
func logField(_ string, _ string) int32               { return int32(Unavailable) }
func clientGet(_ uint32, _ []byte) int32              { return int32(Unavailable) }
func routeGet(_ uint32, _ []byte) int32               { return int32(Unavailable) }
func routeChoose(_ uint32, _ string) int32            { return int32(Unavailable) }
func hintsSend(_ string) int32                        { return int32(Unavailable) }
func secretGet(_ string, _ []byte) int32              { return int32(Unavailable) }
