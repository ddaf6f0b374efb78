// Package dashboards makes the Grafana dashboards of the controller's metrics. The JSON files beside it are what it makes:
// change the code, then run go generate.
package dashboards

import (
	"encoding/json"
	"fmt"
)

//go:generate go test -run TestFilesAreGenerated -update

// Dashboard is one dashboard; its file is named by its UID without the prefix deploy-.
type Dashboard struct {
	Name, Title, Description string
	Service                  bool // has the variable $service
	Panels                   []Panel
}

// Panel is one panel. Width is of 24.
type Panel struct {
	Title, Description string // what it shows and what to do
	Kind               string // stat, timeseries, table, state-timeline
	Unit               string // Grafana's name
	Width              int
	Queries            []Query
	Steps              []Step // thresholds, ascending
}

// Query is one PromQL expression. Instant asks for the present moment alone.
type Query struct {
	Expr, Legend string
	Instant      bool
}

// Step colours values from From on.
type Step struct {
	From  float64
	Color string
}

// zeroGood is green at zero and the colour from one on.
func zeroGood(color string) []Step { return []Step{{0, "green"}, {1, color}} }

type object = map[string]any

var source = object{"type": "prometheus", "uid": "${datasource}"}

// annotations are the rollouts that ended, as marks on every graph. The counters are at 0 from a service's first sight, so that
// the first rollout is an increase.
func annotations(d Dashboard) []object {
	filter := "environment=~\"$environment\""
	if d.Service {
		filter += ",service=~\"$service\""
	}
	of := func(name, color, results string) object {
		return object{
			"name": name, "enable": true, "iconColor": color, "datasource": source, "step": "15s", "useValueForTime": false,
			"expr":        fmt.Sprintf("sum by (service, result) (increase(deploy_rollouts_total{%s,result=~\"%s\"}[$__rate_interval])) > 0", filter, results),
			"titleFormat": "{{service}}: {{result}}", "tagKeys": "service,result",
		}
	}
	return []object{of("Deployed", "green", "succeeded"), of("Put back or failed", "red", "rejected|reverted|restored|revert_failed|stalled")}
}

func variables(d Dashboard) []object {
	query := func(name, label, expr string) object {
		return object{
			"name": name, "label": label, "type": "query", "datasource": source, "refresh": 2, "sort": 1, "multi": true, "includeAll": true,
			"allValue": ".+", "current": object{"text": "All", "value": "$__all"}, "definition": expr,
			"query": object{"query": expr, "refId": name},
		}
	}
	out := []object{
		{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
		query("environment", "Environment", "label_values(deploy_service_info, environment)"),
	}
	if d.Service {
		out = append(out, query("service", "Service", "label_values(deploy_service_info{environment=~\"$environment\"}, service)"))
	}
	return out
}

// JSON is the file that Grafana loads.
func (d Dashboard) JSON() ([]byte, error) {
	panels := []object{}
	x, y := 0, 0
	for i, p := range d.Panels {
		if x+p.Width > 24 {
			x, y = 0, y+height
		}
		panels = append(panels, p.json(i+1, x, y))
		x += p.Width
	}
	out, err := json.MarshalIndent(object{
		"uid": "deploy-" + d.Name, "title": d.Title, "description": d.Description, "tags": []string{"deploy"}, "schemaVersion": 39,
		"editable": false, "refresh": "30s", "timezone": "browser", "time": object{"from": "now-6h", "to": "now"}, "graphTooltip": 1,
		"templating": object{"list": variables(d)}, "annotations": object{"list": annotations(d)}, "panels": panels,
		"links": []object{{"title": "Deploy", "type": "dashboards", "tags": []string{"deploy"}, "asDropdown": true, "includeVars": true, "keepTime": true}},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write dashboard %s: %w", d.Name, err)
	}
	return append(out, '\n'), nil
}

const height = 8 // of a row of panels, in Grafana's units

func (p Panel) json(id, x, y int) object {
	targets := []object{}
	for i, q := range p.Queries {
		t := object{"refId": string(rune('A' + i)), "datasource": source, "expr": q.Expr, "legendFormat": q.Legend, "instant": q.Instant, "range": !q.Instant}
		if p.Kind == "table" {
			t["format"] = "table"
		}
		targets = append(targets, t)
	}
	steps := []object{{"value": nil, "color": "green"}}
	for _, s := range p.Steps {
		steps = append(steps, object{"value": s.From, "color": s.Color})
	}
	return object{
		"id": id, "type": p.Kind, "title": p.Title, "description": p.Description, "datasource": source, "targets": targets,
		"gridPos":     object{"x": x, "y": y, "w": p.Width, "h": height},
		"fieldConfig": object{"defaults": object{"unit": p.Unit, "thresholds": object{"mode": "absolute", "steps": steps}}, "overrides": []object{}},
		"options":     object{},
	}
}
