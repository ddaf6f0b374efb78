package wire

import (
	"bytes"
	"reflect"
	"sync"
)

// keptMax is how many items a keeper remembers before it begins anew.
const keptMax = 1 << 15

// keeper remembers how the items of lists are written that never change. It is safe for concurrent use.
type keeper struct {
	types []reflect.Type // of such lists
	mu    sync.Mutex
	one   jsonSink       // whose buffer is used again
	items map[any][]byte // by a pointer to each: as long as one is remembered, nothing else is there
}

// list writes a list of which the items that were written before are known; write writes one.
func (k *keeper) list(w *jsonSink, list reflect.Value, write func(*jsonSink, reflect.Value)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w.beginList()
	for i := range list.Len() {
		w.item()
		item := list.Index(i)
		at := item.Addr().Interface()
		text, ok := k.items[at]
		if !ok {
			k.one.buf = k.one.buf[:0]
			write(&k.one, item)
			text = bytes.Clone(k.one.buf)
			if k.items == nil || len(k.items) >= keptMax {
				k.items = map[any][]byte{}
			}
			k.items[at] = text
		}
		w.document(text)
	}
	w.endList()
}
