package server

import (
	"encoding/json"
	"net/http"
)

// Problem is an error as the API tells it (RFC 9457, application/problem+json).
type Problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func problem(w http.ResponseWriter, code int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	write(w, code, Problem{Title: http.StatusText(code), Status: code, Detail: detail})
}

func respond(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	write(w, code, body)
}

func write(w http.ResponseWriter, code int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		// Only a value that JSON has no word for comes here; the types of the API have none.
		code, text = http.StatusInternalServerError, []byte(`{"title":"Internal Server Error","status":500,"detail":"the answer has no form in JSON"}`)
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // a client that is gone needs no answer
}
