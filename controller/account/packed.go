package account

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/ecs/types"
)

// packer packs task definitions. Templates of one account are much alike, so that each is kept as what it has different from the first
// one: a tenth of its JSON, which is a fifth of the SDK's value with its pointer for each member, set or not. It is safe for concurrent
// use.
type packer struct {
	mu      sync.Mutex
	first   []byte    // never changed once it is set
	writers sync.Pool // of *flate.Writer, each of which takes a mebibyte
}

// packed is a task definition as it is kept.
type packed struct {
	data []byte
	like []byte // the packer's first
}

func (p *packer) pack(td *types.TaskDefinition) (packed, error) {
	text, err := withoutNulls(td)
	if err != nil {
		return packed{}, err
	}
	p.mu.Lock()
	if p.first == nil {
		p.first = text
	}
	like := p.first
	p.mu.Unlock()
	var out bytes.Buffer
	w, _ := p.writers.Get().(*flate.Writer)
	if w == nil {
		if w, err = flate.NewWriterDict(&out, flate.BestCompression, like); err != nil {
			return packed{}, fmt.Errorf("pack task definition: %w", err)
		}
	} else {
		w.Reset(&out) // which keeps what it is told to be like
	}
	defer p.writers.Put(w)
	if _, err = w.Write(text); err == nil {
		err = w.Close()
	}
	if err != nil {
		return packed{}, fmt.Errorf("pack task definition: %w", err)
	}
	return packed{bytes.Clone(out.Bytes()), like}, nil // as long as it is, and no longer
}

func (p packed) definition() (*types.TaskDefinition, error) {
	td := new(types.TaskDefinition)
	if err := json.NewDecoder(flate.NewReaderDict(bytes.NewReader(p.data), p.like)).Decode(td); err != nil {
		return nil, fmt.Errorf("unpack task definition: %w", err)
	}
	return td, nil
}

// withoutNulls is the JSON of a task definition without the members that are not set.
func withoutNulls(td *types.TaskDefinition) ([]byte, error) {
	raw, err := json.Marshal(td)
	if err != nil {
		return nil, fmt.Errorf("write task definition as JSON: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree map[string]any
	if err := decoder.Decode(&tree); err != nil {
		return nil, fmt.Errorf("read task definition's JSON: %w", err)
	}
	dropNulls(tree)
	return json.Marshal(tree)
}

func dropNulls(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			if member == nil {
				delete(v, key)
			}
			dropNulls(member)
		}
	case []any:
		for _, item := range v {
			dropNulls(item)
		}
	}
}
