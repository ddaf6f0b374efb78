package desired

import "slices"

// circles tells, of each service that waits for itself through others, the way round: a, b, a. A shortest one is told.
func circles(files []*File) map[string][]string {
	waits := map[string][]string{}
	for _, f := range files {
		if f.Service != nil && len(f.Service.Spec.DependsOn) > 0 {
			waits[f.name] = f.Service.Spec.DependsOn
		}
	}
	// Services that wait for nobody leave first, then those that waited only for them: what stays is circles and those who wait
	// for one, usually nothing, so that the search below costs nothing on a healthy folder.
	for again := true; again; {
		again = false
		for name, on := range waits {
			if !slices.ContainsFunc(on, func(d string) bool { return waits[d] != nil }) {
				delete(waits, name)
				again = true
			}
		}
	}
	found := map[string][]string{}
	for name := range waits {
		if way := wayBack(name, waits); way != nil {
			found[name] = way
		}
	}
	return found
}

// wayBack is a shortest way from a service to itself along what it waits for, nil when there is none.
func wayBack(start string, waits map[string][]string) []string {
	from := map[string]string{}
	for queue := []string{start}; len(queue) > 0; queue = queue[1:] {
		for _, next := range waits[queue[0]] {
			if next == start {
				way := []string{start}
				for at := queue[0]; at != start; at = from[at] {
					way = append(way, at)
				}
				way = append(way, start)
				slices.Reverse(way)
				return way
			}
			if _, seen := from[next]; !seen {
				from[next] = queue[0]
				queue = append(queue, next)
			}
		}
	}
	return nil
}
