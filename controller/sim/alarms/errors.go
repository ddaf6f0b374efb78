package alarms

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
)

// checkName refuses what cannot be an alarm's name.
func checkName(name *string) error {
	const most = 255
	switch n := len(aws.ToString(name)); {
	case n == 0:
		return missing("AlarmName")
	case n > most:
		return validation("AlarmName must have at most %d characters, found %d", most, n)
	}
	return nil
}

func missing(member string) error {
	return &smithy.GenericAPIError{Code: "MissingParameter", Message: "The request must contain the parameter " + member + "."}
}

func validation(format string, args ...any) error {
	return &smithy.GenericAPIError{Code: "ValidationError", Message: fmt.Sprintf(format, args...), Fault: smithy.FaultClient}
}
