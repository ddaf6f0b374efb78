package account

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"

	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
)

func during(operation string, err error) error {
	return &smithy.OperationError{ServiceID: "ECS", OperationName: operation, Err: err}
}

func writing(operation string, sent bool, err error) error {
	return during(operation, &client.WriteError{Operation: operation, Sent: sent, Err: err})
}

func status(code int, err error) error {
	return &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: &http.Response{StatusCode: code}}, Err: err}
}

func coded(code string) error { return &smithy.GenericAPIError{Code: code, Message: "text"} }

func TestClassify(t *testing.T) {
	reset := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	tests := map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"throttled read":                  {during("DescribeServices", coded("ThrottlingException")), fault.Throttled, "ThrottlingException"},
		"throttled write had no effect":   {writing("UpdateService", true, status(400, coded("ThrottlingException"))), fault.Throttled, "ThrottlingException"},
		"own budget":                      {during("UpdateService", &client.BudgetError{Bucket: "b", Err: errors.New("late")}), fault.Throttled, "own_budget"},
		"access denied":                   {writing("RegisterTaskDefinition", true, status(400, &ecstypes.AccessDeniedException{})), fault.Blocked, "AccessDeniedException"},
		"expired credentials":             {during("DescribeServices", coded("ExpiredTokenException")), fault.Blocked, "ExpiredTokenException"},
		"quota":                           {writing("RegisterTaskDefinition", true, status(400, &ecstypes.LimitExceededException{})), fault.Blocked, "LimitExceededException"},
		"registration refused, or a race": {writing("RegisterTaskDefinition", true, status(400, &ecstypes.ClientException{})), fault.Unknown, "ClientException"},
		"registration invalid":            {writing("RegisterTaskDefinition", true, status(400, &ecstypes.InvalidParameterException{})), fault.Terminal, "InvalidParameterException"},
		"no such task definition":         {during("DescribeTaskDefinition", &ecstypes.ClientException{}), fault.NotFound, "ClientException"},
		"inactive revision":               {writing("UpdateService", true, status(400, &ecstypes.ClientException{})), fault.Blocked, "ClientException"},
		"cluster is full of new tasks":    {writing("RunTask", true, status(400, &ecstypes.ClientException{})), fault.Unknown, "ClientException"},
		"subnet is gone":                  {writing("UpdateService", true, status(400, &ecstypes.InvalidParameterException{})), fault.Blocked, "InvalidParameterException"},
		"too many services asked":         {during("DescribeServices", &ecstypes.InvalidParameterException{}), fault.Terminal, "InvalidParameterException"},
		"service not active":              {writing("UpdateService", true, status(400, &ecstypes.ServiceNotActiveException{})), fault.Blocked, "ServiceNotActiveException"},
		"service missing":                 {writing("UpdateService", true, status(400, &ecstypes.ServiceNotFoundException{})), fault.Blocked, "ServiceNotFoundException"},
		"tag of a missing thing":          {writing("TagResource", true, status(400, &ecstypes.ResourceNotFoundException{})), fault.Blocked, "ResourceNotFoundException"},
		"tag refused":                     {writing("TagResource", true, status(400, &ecstypes.InvalidParameterException{})), fault.Blocked, "InvalidParameterException"},
		"cluster missing":                 {during("DescribeServices", &ecstypes.ClusterNotFoundException{}), fault.NotFound, "ClusterNotFoundException"},
		"image missing":                   {during("DescribeImages", &ecrtypes.ImageNotFoundException{}), fault.NotFound, "ImageNotFoundException"},
		"layer missing":                   {during("GetDownloadUrlForLayer", &ecrtypes.LayersNotFoundException{}), fault.NotFound, "LayersNotFoundException"},
		"layer of no image":               {during("GetDownloadUrlForLayer", &ecrtypes.LayerInaccessibleException{}), fault.NotFound, "LayerInaccessibleException"},
		"token used for something else":   {writing("RunTask", true, status(400, &ecstypes.ConflictException{})), fault.Conflict, "ConflictException"},
		"server error on a read":          {during("DescribeServices", status(500, &ecstypes.ServerException{})), fault.Unknown, "ServerException"},
		"server error on a write":         {writing("UpdateService", true, status(500, &ecstypes.ServerException{})), fault.Lost, "ServerException"},
		"503 without a body on a write":   {writing("UpdateService", true, status(503, coded("ServiceUnavailable"))), fault.Lost, "ServiceUnavailable"},
		"reset on a read":                 {during("DescribeServices", reset), fault.Unknown, ""},
		"reset on a write":                {writing("UpdateService", true, reset), fault.Lost, "no_answer"},
		"deadline on a write":             {writing("RunTask", true, context.DeadlineExceeded), fault.Lost, "no_answer"},
		"write without a connection":      {writing("UpdateService", false, reset), fault.Unknown, ""},
		"unreadable answer to a write":    {writing("UpdateService", true, &smithy.DeserializationError{Err: errors.New("eof")}), fault.Lost, "no_answer"},
		"code that nobody has thought of": {during("DescribeServices", coded("SurpriseException")), fault.Unknown, "SurpriseException"},
		"already classified":              {fmt.Errorf("deed: %w", fault.New(fault.Blocked, "x", errors.New("y"))), fault.Blocked, "x"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := deed(tt.err, "do %s", "it")
			if fault.KindOf(got) != tt.kind || fault.CodeOf(got) != tt.code {
				t.Errorf("kind %q, code %q; want %q, %q", fault.KindOf(got), fault.CodeOf(got), tt.kind, tt.code)
			}
			if !errors.Is(got, tt.err) {
				t.Error("the cause is lost")
			}
		})
	}
	if Classify(nil) != nil || deed(nil, "do it") != nil {
		t.Error("no error must stay no error")
	}
}
