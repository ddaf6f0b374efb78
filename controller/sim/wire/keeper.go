package wire

import (
	"reflect"
	"sync"
)

// keptMax is how many lists a keeper remembers before it begins anew.
const keptMax = 256

// keeper remembers how lists that never change are written. It is safe for concurrent use.
type keeper struct {
	types []reflect.Type // of such lists
	mu    sync.Mutex
	lists map[listKey][]byte
}

// listKey tells lists apart by where they are: as long as one is remembered, nothing else is there.
type listKey struct {
	first any // a pointer to its first element
	count int
}

// text is the list, which is not empty, as write writes it. The bytes must not be changed.
func (k *keeper) text(list reflect.Value, write func(*jsonSink)) []byte {
	key := listKey{first: list.Index(0).Addr().Interface(), count: list.Len()}
	k.mu.Lock()
	text, ok := k.lists[key]
	k.mu.Unlock()
	if ok {
		return text
	}
	w := &jsonSink{}
	write(w)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lists == nil || len(k.lists) >= keptMax {
		k.lists = map[listKey][]byte{}
	}
	k.lists[key] = w.buf
	return w.buf
}
