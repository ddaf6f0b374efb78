package standin

import "testing"

// TestExamples holds GitHub's own examples, which answers begin with, to GitHub's own schemas.
func TestExamples(t *testing.T) {
	s := Open(t, t.TempDir())
	for _, r := range s.routes() {
		op := s.doc.Paths.Value(r.path).GetOperation(r.method)
		for _, code := range []int{200, 201} {
			answer := op.Responses.Status(code)
			if answer == nil || answer.Value.Content["application/json"] == nil {
				continue
			}
			body := s.example(op, code)
			schema := answer.Value.Content["application/json"].Schema.Value
			if schema.Items != nil {
				schema = schema.Items.Value
			}
			if err := schema.VisitJSON(body); err != nil {
				t.Errorf("%s %s: %.300s", r.method, r.path, err)
			}
		}
	}
}
