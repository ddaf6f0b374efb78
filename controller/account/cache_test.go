package account

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestCacheForgetsTheLeastRecentlyUsed holds a cache against a plain list of keys, most recently used first.
func TestCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 4
		c := newCache[string](most)
		var order []string
		forget := func(key string) {
			order = slices.DeleteFunc(order, func(k string) bool { return k == key })
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 6).Draw(t, "key"))
			switch rapid.IntRange(0, 8).Draw(t, "deed") {
			case 0:
				c.drop(key)
				forget(key)
			case 1:
				c.clear()
				order = nil
			case 2, 3, 4:
				v, ok := c.get(key, time.Hour)
				if want := slices.Contains(order, key); ok != want || ok && v != key {
					t.Fatalf("step %d: get %s answers %q %v, want %v of %v", i, key, v, ok, want, order)
				}
				if ok {
					forget(key)
					order = append([]string{key}, order...)
				}
			default:
				c.put(key, key)
				forget(key)
				order = append([]string{key}, order...)
				order = order[:min(len(order), most)]
			}
			var have []string
			for e := c.ends.after; e != &c.ends; e = e.after {
				have = append(have, e.key)
			}
			if !slices.Equal(have, order) || c.len() != len(order) {
				t.Fatalf("step %d: kept %v, want %v", i, have, order)
			}
		}
	})
}
