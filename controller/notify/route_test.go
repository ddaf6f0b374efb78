package notify

import "testing"

// A receiver is told what one of its routes matches: by least severity, by event, and by labels, of which all must be the service's. What is
// about the whole environment matches routes without labels only.
func TestRoutes(t *testing.T) {
	c, errs := Parse("n.yaml", []byte(`apiVersion: deploy/v1
kind: Notifications
receivers:
  ops: {slackWebhook: {url: {env: A}}}
  shop: {slackWebhook: {url: {env: B}}}
  audit: {slackWebhook: {url: {env: C}}}
routes:
- {receiver: ops, severity: warning}
- {receiver: shop, labels: {team: shop, tier: web}}
- {receiver: shop, severity: critical, labels: {team: shop}}
- {receiver: audit, events: [rejected, outage]}
`))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	shop, web, none := map[string]string{"team": "shop"}, map[string]string{"team": "shop", "tier": "web", "more": "x"}, map[string]string(nil)
	for _, tt := range []struct {
		event            Event
		labels           map[string]string
		ops, shop, audit bool
	}{
		{Begun, none, false, false, false},
		{Begun, web, false, true, false},
		{Begun, shop, false, false, false},
		{Rejected, none, true, false, true},
		{Rejected, web, true, true, true},
		{Rejected, shop, true, false, true},
		{Stalled, shop, true, true, false},
		{Stalled, none, true, false, false},
		{Outage, none, true, false, true},
		{OutageOver, none, false, false, false},
	} {
		m := Message{Event: tt.event, Severity: severities[tt.event], Labels: tt.labels}
		for receiver, want := range map[string]bool{"ops": tt.ops, "shop": tt.shop, "audit": tt.audit} {
			if got := c.routes(receiver, m); got != want {
				t.Errorf("%s of %v to %s: %v, want %v", tt.event, tt.labels, receiver, got, want)
			}
		}
	}
	for _, e := range Events() {
		if severities[e] == "" {
			t.Errorf("%s has no severity", e)
		}
	}
}
