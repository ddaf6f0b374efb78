// Package account is the only place that speaks ECS and its neighbours: Observe looks at one service and what belongs to
// it, Act does one thing, and the SDK's types and errors stop here. What AWS answers with an error is given its
// fault.Kind here, by type or code and never by text.
package account
