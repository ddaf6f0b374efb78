package server_test

import (
	"testing"
)

// BenchmarkFirstPage makes the page of 2,000 services.
func BenchmarkFirstPage(b *testing.B) {
	h := newHouse(b)
	publishMany(h.board, manyServices)
	b.ReportAllocs()
	for b.Loop() {
		b.ReportMetric(float64(h.get("/").Body.Len()), "bytes")
	}
}
