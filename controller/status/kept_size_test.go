package status

import (
	"testing"
	"unsafe"
)

// A view fits into the 1,024 bytes that the runtime has a size of; the next one is 1,152, for each of ten thousand services.
func TestViewFits(t *testing.T) {
	if n := unsafe.Sizeof(View{}); n > 1024 {
		t.Errorf("a view has %d bytes", n)
	}
}
