package desired

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MarshalJSON writes the duration as people do.
func (d Duration) MarshalJSON() ([]byte, error) { return strconv.AppendQuote(nil, d.String()), nil }

// UnmarshalJSON reads a duration such as 90s or 1h30m; a bare number is refused because its unit would be a guess.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s is not a duration; write a number with its unit, such as 90s, 10m or 1h30m", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write a number with its unit, such as 90s, 10m or 1h30m", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON writes the share as people do.
func (p Percent) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// UnmarshalJSON reads a share such as 50%; a bare number is refused, since 0.5 and 50 would both be meant.
func (p *Percent) UnmarshalJSON(b []byte) error {
	var s string
	err := json.Unmarshal(b, &s)
	digits, found := strings.CutSuffix(s, "%")
	n, bad := strconv.Atoi(digits)
	if err != nil || !found || bad != nil || n < 1 || n > 100 || digits != strconv.Itoa(n) {
		return fmt.Errorf("%s is not a share; write a whole number from 1 to 100 with its sign, such as 50%%", b)
	}
	*p = Percent(n)
	return nil
}

// MarshalJSON writes the strategy's own parameters before deadline and strategy, which count even if the parameters name them too. It is written so often, with each
// save and each comparison of a service, that the parameters are not read for it.
func (r Rollout) MarshalJSON() ([]byte, error) {
	out := make([]byte, 1, 160)
	out[0] = '{'
	comma := func() {
		if len(out) > 1 {
			out = append(out, ',')
		}
	}
	if params := bytes.TrimSpace(r.Params); len(params) > 0 {
		inner, opens := bytes.CutPrefix(params, []byte("{"))
		inner, closes := bytes.CutSuffix(inner, []byte("}"))
		if !opens || !closes {
			return nil, fmt.Errorf("the parameters of a rollout are no object: %s", params)
		}
		if len(bytes.TrimSpace(inner)) > 0 {
			comma()
			out = append(out, inner...)
		}
	}
	if r.Deadline != 0 {
		comma()
		out = strconv.AppendQuote(append(out, `"deadline":`...), r.Deadline.String())
	}
	if r.Strategy != "" {
		name, err := json.Marshal(r.Strategy)
		if err != nil {
			return nil, err
		}
		comma()
		out = append(append(out, `"strategy":`...), name...)
	}
	return append(out, '}'), nil
}

// UnmarshalJSON keeps what it does not know for the strategy, which checks it.
func (r *Rollout) UnmarshalJSON(b []byte) error {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*r = Rollout{}
	if err := take(m, "strategy", &r.Strategy); err != nil {
		return err
	}
	if err := take(m, "deadline", &r.Deadline); err != nil {
		return err
	}
	if len(m) == 0 {
		return nil
	}
	params, err := json.Marshal(m)
	r.Params = params
	return err
}

// MarshalJSON writes the checks beside bake, as the file has them.
func (v Verify) MarshalJSON() ([]byte, error) {
	names := slices.Collect(maps.Keys(v.Checks))
	if v.Bake != 0 {
		names = append(names, "bake")
	}
	slices.Sort(names)
	out := []byte{'{'}
	for i, name := range slices.Compact(names) {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		out = append(append(out, key...), ':')
		switch params := v.Checks[name]; {
		case name == "bake" && v.Bake != 0:
			out = strconv.AppendQuote(out, v.Bake.String())
		case params == nil:
			out = append(out, "null"...)
		default:
			out = append(out, params...)
		}
	}
	return append(out, '}'), nil
}

// UnmarshalJSON keeps every member but bake as a check's parameters.
func (v *Verify) UnmarshalJSON(b []byte) error {
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	*v = Verify{}
	if err := take(m, "bake", &v.Bake); err != nil {
		return err
	}
	if len(m) > 0 {
		v.Checks = m
	}
	return nil
}

func take(m map[string]json.RawMessage, name string, into any) error {
	raw, ok := m[name]
	if !ok {
		return nil
	}
	delete(m, name)
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
