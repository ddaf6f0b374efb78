package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Notifications is the file that says who is told of what, as the controller reads it. Only where its secrets are is looked at here:
// the rest is the controller's to judge.
type Notifications struct {
	text      json.RawMessage
	receivers map[string]map[string]map[string]json.RawMessage // name → kind → member
}

// secretMembers are the members of a receiver that say where a secret is.
var secretMembers = []string{"token", "url", "secret"}

// UnmarshalJSON keeps the text as it is.
func (n *Notifications) UnmarshalJSON(text []byte) error {
	var file struct {
		Receivers map[string]map[string]map[string]json.RawMessage `json:"receivers"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return err
	}
	*n = Notifications{text: slices.Clone(text), receivers: file.Receivers}
	return nil
}

// argument is the text for an environment variable: without the blanks of the file that it was written in.
func (n *Notifications) argument() string {
	var all any
	if err := json.Unmarshal(n.text, &all); err != nil {
		panic(err) // it was read before
	}
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// each calls do with every place of a secret.
func (n *Notifications) each(do func(place, arn string)) {
	if n == nil {
		return
	}
	for _, receiver := range slices.Sorted(maps.Keys(n.receivers)) {
		for kind, members := range n.receivers[receiver] {
			for _, name := range secretMembers {
				raw, ok := members[name]
				if !ok {
					continue
				}
				var at struct{ SecretsManager string }
				_ = json.Unmarshal(raw, &at) // what is of another form has no ARN
				do(fmt.Sprintf("receivers.%s.%s.%s", receiver, kind, name), at.SecretsManager)
			}
		}
	}
}

// check refuses secrets that the controller's task could not have: it has no files, and no variables but those of this stack.
func (n *Notifications) check() (wrong []error) {
	n.each(func(place, arn string) {
		if !strings.HasPrefix(arn, "arn:") {
			wrong = append(wrong, fmt.Errorf("%s must be {\"secretsManager\": \"arn:…\"}: the controller's task has no other secrets", place))
		}
	})
	return wrong
}

// secrets are the ARNs of the secrets that the controller reads to tell anybody, in order.
func (n *Notifications) secrets() []string {
	var out []string
	n.each(func(_, arn string) {
		arn, _, _ = strings.Cut(arn, "#") // a member of the secret's JSON
		out = append(out, arn)
	})
	slices.Sort(out)
	return slices.Compact(out)
}
