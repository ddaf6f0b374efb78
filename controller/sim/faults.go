package sim

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/wire"
)

const faultsPath = "/_faults"

// NamedFault asks for something that goes wrong, by its name or the number of its row in README.md.
type NamedFault struct {
	Name string `json:"name"`
	// Service and Operation narrow a fault of calls, where it is not of one operation by its nature.
	Service   string `json:"service,omitempty"`
	Operation string `json:"operation,omitempty"`
	From      int    `json:"from,omitempty"`  // the first call that is hit; 0 and 1: the next
	Times     int    `json:"times,omitempty"` // how many calls, or containers, are hit; 0: all
	// Target is what a fault of a thing is about: a secret, an image, a stack, …
	Target string   `json:"target,omitempty"`
	By     Duration `json:"by,omitempty"` // how late, of faults that make late
}

// ArmedFault is one that was added.
type ArmedFault struct {
	ID int `json:"id"`
	NamedFault
}

// fault is what a name stands for: exactly one of call, image and do is set.
type fault struct {
	symptom string
	lasting bool // removed, it takes nothing back: what was done is done
	call    *wire.Fault
	refuse  func(a *Account, c *wire.Call) error // with call: what its calls are answered
	image   *script.Script
	do      func(ctx context.Context, a *Account, f NamedFault) (undo func() error, err error)
}

// namedFaults are an account's. Its fields are guarded by the account's lock.
type namedFaults struct {
	last  int
	armed []armedFault
}

type armedFault struct {
	ArmedFault
	image *script.Script
	undo  func() error
}

func (n *namedFaults) book() script.Book {
	var out script.Book
	for _, f := range n.armed {
		if f.image != nil {
			out = append(out, script.Rule{Match: script.Match{Image: f.Target}, Script: *f.image, Times: f.Times})
		}
	}
	return out
}

// FaultNames lists every name with its symptom.
func FaultNames() map[string]string {
	out := map[string]string{}
	for name, f := range catalogue() {
		out[name] = f.symptom
	}
	return out
}

// faultOf finds a fault by its name, or by the number of its row in README.md.
func faultOf(name string) (fault, error) {
	all := catalogue()
	if f, ok := all[cmp.Or(rows[name], name)]; ok {
		return f, nil
	}
	if configured[name] {
		return fault{}, fmt.Errorf("%s is a matter of configuration: README.md has the lines of a seed that bring it about", name)
	}
	return fault{}, fmt.Errorf("there is no fault %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(all)), ", "))
}

// AddFault makes something go wrong from now on, and answers the number that RemoveFault takes.
func (a *Account) AddFault(ctx context.Context, f NamedFault) (id int, err error) {
	known, err := faultOf(f.Name)
	if err != nil {
		return 0, fmt.Errorf("name: %w", err)
	}
	one := armedFault{ArmedFault: ArmedFault{NamedFault: f}, image: known.image, undo: func() error { return nil }}
	switch {
	case known.call != nil:
		call := *known.call
		if call.Operation == "" {
			call.Operation = f.Operation
		} else if f.Operation != "" && f.Operation != call.Operation {
			return 0, fmt.Errorf("operation: %s is of %s, found %q", f.Name, call.Operation, f.Operation)
		}
		if call.Service == "" {
			call.Service = f.Service
		}
		call.From, call.Times = f.From, f.Times
		if known.refuse != nil {
			call.Refuse = func(c *wire.Call) error { return known.refuse(a, c) }
		}
		if f.By > 0 {
			call.Delay = time.Duration(f.By)
		}
		disarm := a.Faults.Arm(call)
		one.undo = func() error { disarm(); return nil }
	case known.do != nil:
		if one.undo, err = known.do(ctx, a, f); err != nil {
			return 0, fmt.Errorf("%s of %q: %w", f.Name, f.Target, err)
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults.last++
	one.ID = a.faults.last
	a.faults.armed = append(a.faults.armed, one)
	a.setBook()
	return one.ID, nil
}

// ArmedFaults lists what was added and not removed, the oldest first.
func (a *Account) ArmedFaults() []ArmedFault {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []ArmedFault{}
	for _, f := range a.faults.armed {
		out = append(out, f.ArmedFault)
	}
	return out
}

// RemoveFault takes one fault back, or all of them where id is 0: what was taken away comes back, as far as the
// account can. What a fault brought about meanwhile stays.
func (a *Account) RemoveFault(id int) error {
	a.mu.Lock()
	var gone []armedFault
	a.faults.armed = slices.DeleteFunc(a.faults.armed, func(f armedFault) bool {
		if id != 0 && f.ID != id {
			return false
		}
		gone = append(gone, f)
		return true
	})
	a.setBook()
	a.mu.Unlock()
	if id != 0 && len(gone) == 0 {
		return fmt.Errorf("there is no fault with the id %d", id)
	}
	var err error
	for _, f := range slices.Backward(gone) {
		err = errors.Join(err, f.undo())
	}
	return err
}

func (p planter) faults(ctx context.Context, s *Seed) error {
	return each("faults", s.Faults, func(f NamedFault) error {
		_, err := p.account.AddFault(ctx, f)
		return err
	})
}

// serveFaults answers GET with all names and what is armed, POST by adding the fault in its JSON body, and DELETE
// by removing the one with the id of its query, or all.
func (a *Account) serveFaults(w http.ResponseWriter, r *http.Request) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		answerJSON(w, http.StatusForbidden, map[string]any{"error": "faults are for clients of this machine only"})
		return
	}
	if r.Header.Get("Origin") != "" {
		answerJSON(w, http.StatusForbidden, map[string]any{"error": "faults are not for pages of other origins"})
		return
	}
	switch r.Method {
	case http.MethodGet:
		answerJSON(w, http.StatusOK, map[string]any{"faults": FaultNames(), "armed": a.ArmedFaults()})
	case http.MethodPost:
		a.postFault(w, r)
	case http.MethodDelete:
		id, err := strconv.Atoi(r.URL.Query().Get("id"))
		if r.URL.Query().Get("id") == "" {
			id, err = 0, nil
		}
		if err == nil {
			err = a.RemoveFault(id)
		}
		if err != nil {
			answerJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
			return
		}
		answerJSON(w, http.StatusOK, map[string]any{"armed": a.ArmedFaults()})
	default:
		w.Header().Set("Allow", "GET, POST, DELETE")
		answerJSON(w, http.StatusMethodNotAllowed, map[string]any{"error": "use GET, POST or DELETE"})
	}
}

func (a *Account) postFault(w http.ResponseWriter, r *http.Request) {
	const maxBody = 64 << 10
	var body json.RawMessage
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&body)
	var f NamedFault
	if err == nil {
		err = decodeStrict(body, &f)
	}
	id := 0
	if err == nil {
		id, err = a.AddFault(context.WithoutCancel(r.Context()), f)
	}
	if err != nil {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	answerJSON(w, http.StatusCreated, map[string]any{"id": id})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that went away is no error of ours
}
