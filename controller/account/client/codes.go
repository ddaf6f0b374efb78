package client

import (
	"errors"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// IsThrottle reports whether an AWS error code says that requests come too fast. A LimitExceededException does not: it is
// a quota.
func IsThrottle(code string) bool {
	_, ok := throttleCodes()[code]
	return ok
}

// IsDenied reports whether an AWS error code says that these credentials may not do it, or are none.
func IsDenied(code string) bool {
	switch code {
	case "AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "NotAuthorized", "UnauthorizedException",
		"ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException", "InvalidClientTokenId",
		"InvalidSignatureException", "SignatureDoesNotMatch", "RequestTimeTooSkewed", "RequestExpired",
		"MissingAuthenticationToken", "IncompleteSignature", "OptInRequired", "AuthFailure":
		return true
	}
	return false
}

// StatusOf returns the HTTP status of the answer that err stands for, 0 where there was none.
func StatusOf(err error) int {
	var answer *smithyhttp.ResponseError
	if errors.As(err, &answer) {
		return answer.HTTPStatusCode()
	}
	return 0
}
