package wire

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/aws/smithy-go"
)

// StatusError is an API error with an HTTP status of its own, for faults such as a 503.
type StatusError struct {
	Status  int // HTTP status, 400 to 599
	Code    string
	Message string
}

func (e *StatusError) Error() string        { return e.Code + ": " + e.Message }
func (e *StatusError) ErrorCode() string    { return e.Code }
func (e *StatusError) ErrorMessage() string { return e.Message }
func (e *StatusError) ErrorFault() smithy.ErrorFault {
	if e.Status >= http.StatusInternalServerError {
		return smithy.FaultServer
	}
	return smithy.FaultClient
}

// Throttled is the error of a full bucket, as ECS and most JSON services word it.
func Throttled() error {
	return &StatusError{Status: http.StatusBadRequest, Code: "ThrottlingException", Message: "Rate exceeded"}
}

// failure is an error as the protocols write it.
type failure struct {
	status  int
	shape   string // name of the shape, for __type
	code    string // what the query protocol calls it; mostly the shape's name
	message string
	server  bool
	extra   reflect.Value // the exception's struct, for members beyond the message; may be invalid
}

func newFailure(err error) failure {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return failure{
			status: http.StatusInternalServerError, shape: "InternalFailure", code: "InternalFailure",
			message: err.Error(), server: true,
		}
	}
	f := failure{
		status: http.StatusBadRequest, shape: api.ErrorCode(), code: api.ErrorCode(),
		message: api.ErrorMessage(), server: api.ErrorFault() == smithy.FaultServer,
	}
	if f.server {
		f.status = http.StatusInternalServerError
	}
	var own *StatusError
	if errors.As(err, &own) {
		f.status = own.Status
	}
	v := reflect.ValueOf(api)
	if v.Kind() != reflect.Pointer {
		return f
	}
	if _, modelled := v.Elem().Type().FieldByName("ErrorCodeOverride"); modelled {
		f.shape, f.extra = v.Elem().Type().Name(), v.Elem()
	}
	return f
}

func serialization(format string, args ...any) error {
	return &StatusError{
		Status: http.StatusBadRequest, Code: "SerializationException", Message: fmt.Sprintf(format, args...),
	}
}

func mismatch(path, want string, found any) error {
	if path == "" {
		path = "the request"
	}
	if f, ok := found.(*form); ok {
		found = f.names()
	}
	return serialization("%s must be %s, found %v", path, want, found)
}

func unknownOperation(format string, args ...any) error {
	return &StatusError{
		Status: http.StatusBadRequest, Code: "UnknownOperationException", Message: fmt.Sprintf(format, args...),
	}
}
