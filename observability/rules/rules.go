// Package rules reads rule files for Prometheus and says what their expressions ask for, for the tests that hold them against what a
// controller tells.
package rules

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
	"go.yaml.in/yaml/v3"
)

// Rule is one rule of a file for Prometheus.
type Rule struct {
	Alert, Record, Expr, For string
	Labels, Annotations      map[string]string
}

// Name is what the rule is called.
func (r Rule) Name() string { return r.Alert + r.Record }

// Read answers the rules of a file, at least one.
func Read(file string) ([]Rule, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var f struct{ Groups []struct{ Rules []Rule } }
	if err := yaml.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var out []Rule
	for _, g := range f.Groups {
		out = append(out, g.Rules...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has no rules", file)
	}
	return out, nil
}

// Selector asks for the series of one metric.
type Selector struct {
	Metric string
	Labels map[string][]string // label → the values that it may have, or may not
}

// Asked is what an expression asks for.
type Asked struct {
	Selectors []Selector
	By        []string            // labels that something is grouped or joined by
	Made      []string            // labels that the expression makes itself
	Above     map[string][]string // metric → the numbers that it is compared with by >
	Quantiles []string            // metrics of which a quantile is taken
}

// Parse reads an expression. What a label is not is told as what it is: either way a value that does not exist is a mistake.
func Parse(expr string) (Asked, error) {
	e, err := metricsql.Parse(expr)
	out := Asked{Above: map[string][]string{}}
	if err != nil {
		return out, err
	}
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			s, wrong := selector(e)
			if wrong != nil {
				err = wrong
			}
			out.Selectors = append(out.Selectors, s)
		case *metricsql.AggrFuncExpr:
			out.By = append(out.By, e.Modifier.Args...)
		case *metricsql.BinaryOpExpr:
			out.By = append(append(out.By, e.GroupModifier.Args...), e.JoinModifier.Args...)
			if limit, ok := e.Right.(*metricsql.NumberExpr); ok && e.Op == ">" {
				for _, m := range metrics(e.Left) {
					out.Above[m] = append(out.Above[m], string(limit.AppendString(nil)))
				}
			}
		case *metricsql.FuncExpr:
			switch {
			case e.Name == "label_replace":
				out.Made = append(out.Made, e.Args[1].(*metricsql.StringExpr).S)
			case e.Name == "histogram_quantile":
				out.Quantiles = append(out.Quantiles, metrics(e.Args[1])...)
			}
		}
	})
	slices.Sort(out.By)
	out.By = slices.Compact(out.By)
	return out, err
}

func selector(e *metricsql.MetricExpr) (Selector, error) {
	s := Selector{Labels: map[string][]string{}}
	if len(e.LabelFilterss) != 1 {
		return s, fmt.Errorf("%s is %d selectors, not 1", e.AppendString(nil), len(e.LabelFilterss))
	}
	for _, f := range e.LabelFilterss[0] {
		switch {
		case f.Label == "__name__" && !f.IsRegexp && !f.IsNegative:
			s.Metric = f.Value
		case f.Label == "__name__":
			return s, fmt.Errorf("%s is of more than one metric", e.AppendString(nil))
		case f.IsRegexp:
			s.Labels[f.Label] = strings.Split(f.Value, "|")
		default:
			s.Labels[f.Label] = []string{f.Value}
		}
	}
	return s, nil
}

// metrics are the metrics that an expression is made of.
func metrics(e metricsql.Expr) (out []string) {
	metricsql.VisitAll(e, func(e metricsql.Expr) {
		if m, ok := e.(*metricsql.MetricExpr); ok {
			if s, err := selector(m); err == nil {
				out = append(out, s.Metric)
			}
		}
	})
	return out
}
