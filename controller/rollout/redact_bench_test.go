package rollout

import "testing"

// BenchmarkRedact: what controllers tell all day, in which there is nothing to hide, and a line in which there is.
func BenchmarkRedact(b *testing.B) {
	for name, line := range map[string]string{
		"sentence": "2 tasks stopped: container AppContainer exited with code 1 (task 6f0c1d2b9a4e4f53a1c7e0b8d9f2a3c4)",
		"line":     `{"level":"info","time":"2026-03-01T12:00:00.123456789Z","msg":"request","request_id":"ABCDEFGHIJKLMNOPQRSTUVWXYZ","method":"POST","route":"/orders","status":201,"duration":0.004211}`,
		"url":      "GET https://orders.canteen.example/orders?school=north&date=2030-12-03: 200",
		"secret":   `{"level":"error","msg":"cannot connect to postgres://orders:hunter2@db.canteen.example:5432/orders"}`,
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Redact(line)
			}
		})
	}
}
