package sts_test

import (
	"strings"
	"testing"

	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/canteen/deploy/controller/sim/sts"
)

func TestCaller(t *testing.T) {
	out, err := (&sts.Engine{Account: "123456789012"}).GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
	if err != nil || *out.Account != "123456789012" || !strings.HasPrefix(*out.Arn, "arn:aws:sts::123456789012:assumed-role/") || !strings.HasPrefix(*out.UserId, "AROA") {
		t.Errorf("%+v, %v", out, err)
	}
}
