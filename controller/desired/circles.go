package desired

import (
	"fmt"
	"slices"
)

// circleShown is up to how many services a circle is told whole, and a shortest way is looked for. A larger one is told by its
// first step and its size: a way round each of thousands of services costs minutes, and nobody reads it.
const circleShown = 50

// circles tells, of each service that waits for itself through others, the way round: a, b, a. A shortest one is told.
func circles(files []*File) map[string][]string {
	g := grouping{waits: map[string][]string{}, number: map[string]int{}, low: map[string]int{}, open: map[string]bool{}}
	for _, f := range files {
		if f.Service != nil && len(f.Service.Spec.DependsOn) > 0 {
			g.waits[f.name] = f.Service.Spec.DependsOn
		}
	}
	for name := range g.waits {
		if g.number[name] == 0 {
			g.visit(name)
		}
	}
	found := map[string][]string{}
	for _, circle := range g.circles {
		inside := map[string][]string{}
		for _, name := range circle {
			inside[name] = nil
		}
		for _, name := range circle {
			inside[name] = slices.DeleteFunc(slices.Clone(g.waits[name]), func(d string) bool { _, in := inside[d]; return !in })
		}
		for _, name := range circle {
			if len(circle) > circleShown {
				found[name] = []string{name, inside[name][0], fmt.Sprintf("%d more", len(circle)-2), name}
				continue
			}
			found[name] = wayBack(name, inside)
		}
	}
	return found
}

// grouping finds the groups of services of which each waits, through others, for every other one: Tarjan's strongly connected
// components, in a time that grows with the number of dependencies alone.
type grouping struct {
	waits       map[string][]string
	number, low map[string]int // in order of the visits, from 1; the least number that can be reached
	path        []string
	open        map[string]bool // is on path
	circles     [][]string
}

func (g *grouping) visit(name string) {
	g.number[name] = len(g.number) + 1
	g.low[name] = g.number[name]
	g.path, g.open[name] = append(g.path, name), true
	for _, next := range g.waits[name] {
		switch {
		case len(g.waits[next]) == 0: // waits for nobody
		case g.number[next] == 0:
			g.visit(next)
			g.low[name] = min(g.low[name], g.low[next])
		case g.open[next]:
			g.low[name] = min(g.low[name], g.number[next])
		}
	}
	if g.low[name] != g.number[name] {
		return
	}
	at := len(g.path) - 1
	for g.path[at] != name {
		at--
	}
	group := slices.Clone(g.path[at:])
	g.path = g.path[:at]
	for _, member := range group {
		g.open[member] = false
	}
	if len(group) > 1 || slices.Contains(g.waits[name], name) {
		g.circles = append(g.circles, group)
	}
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
