package fault

// The closed reasons of calls that fail: one word for what people call the same trouble, whatever AWS's services call it.
const (
	ReasonAccessDenied       = "AccessDenied"
	ReasonCredentialsRefused = "CredentialsRefused"
	ReasonClusterMissing     = "ClusterMissing"
	ReasonServiceMissing     = "ServiceMissing"
	ReasonServiceNotActive   = "ServiceNotActive"
	ReasonTargetGroupMissing = "TargetGroupMissing"
	ReasonRepositoryMissing  = "RepositoryMissing"
	ReasonSecretMissing      = "SecretMissing"
	ReasonStackMissing       = "StackMissing"
	ReasonStackIncomplete    = "StackIncomplete"
	ReasonNamespaceMissing   = "NamespaceMissing"
	ReasonPlatformUnusable   = "PlatformUnusable"
	ReasonFeatureUnsupported = "FeatureUnsupported"
	ReasonQuotaReached       = "QuotaReached"
	ReasonAccountBlocked     = "AccountBlocked"
	ReasonWrongAccount       = "WrongAccount"
	ReasonNotPlaceable       = "NotPlaceable"
	ReasonLogsUnreachable    = "LogsUnreachable"
	ReasonRequestRefused     = "RequestRefused" // blocked, with a code that says no more
	ReasonInvalid            = "Invalid"        // terminal
	ReasonThrottled          = "Throttled"
	ReasonNoCapacity         = "NoCapacity"
	ReasonConflict           = "Conflict"
	ReasonNotFound           = "NotFound"
	ReasonAnswerLost         = "AnswerLost"
	ReasonCallFails          = "CallFails" // anything else, such as an error of AWS's own
)

// ofCode are the codes that say more than their kind does: AWS's, and those that package account gives.
var ofCode = map[string]string{
	"AccessDenied": ReasonAccessDenied, "AccessDeniedException": ReasonAccessDenied, "UnauthorizedOperation": ReasonAccessDenied,
	"NotAuthorized": ReasonAccessDenied, "UnauthorizedException": ReasonAccessDenied, "OptInRequired": ReasonAccessDenied,

	"ExpiredToken": ReasonCredentialsRefused, "ExpiredTokenException": ReasonCredentialsRefused, "UnrecognizedClientException": ReasonCredentialsRefused,
	"InvalidClientTokenId": ReasonCredentialsRefused, "InvalidSignatureException": ReasonCredentialsRefused, "SignatureDoesNotMatch": ReasonCredentialsRefused,
	"RequestTimeTooSkewed": ReasonCredentialsRefused, "RequestExpired": ReasonCredentialsRefused, "MissingAuthenticationToken": ReasonCredentialsRefused,
	"IncompleteSignature": ReasonCredentialsRefused, "AuthFailure": ReasonCredentialsRefused,

	"ClusterNotFoundException": ReasonClusterMissing, "ServiceNotFoundException": ReasonServiceMissing, "ServiceNotActiveException": ReasonServiceNotActive,
	"TargetGroupNotFound": ReasonTargetGroupMissing, "TargetGroupNotFoundException": ReasonTargetGroupMissing,
	"RepositoryNotFoundException": ReasonRepositoryMissing, "repository_unknown": ReasonRepositoryMissing,
	"secret_missing": ReasonSecretMissing, "secret_deleted": ReasonSecretMissing, "ParameterNotFound": ReasonSecretMissing,
	"stack_missing": ReasonStackMissing, "outputs_missing": ReasonStackIncomplete, "NamespaceNotFoundException": ReasonNamespaceMissing,
	"PlatformUnknownException": ReasonPlatformUnusable, "PlatformTaskDefinitionIncompatibilityException": ReasonPlatformUnusable,
	"UnsupportedFeatureException": ReasonFeatureUnsupported, "LimitExceededException": ReasonQuotaReached, "BlockedException": ReasonAccountBlocked,
	"wrong_account": ReasonWrongAccount, "ATTRIBUTE": ReasonNotPlaceable, "LOCATION": ReasonNotPlaceable, "no_logs": ReasonLogsUnreachable,
}

var ofKind = map[Kind]string{
	Blocked: ReasonRequestRefused, Terminal: ReasonInvalid, Throttled: ReasonThrottled, Unavailable: ReasonNoCapacity, Conflict: ReasonConflict, NotFound: ReasonNotFound, Lost: ReasonAnswerLost, Unknown: ReasonCallFails,
}

// Reason is the closed word for a failure of the kind and with the code.
func Reason(kind Kind, code string) string {
	if r := ofCode[code]; r != "" {
		return r
	}
	if r := ofKind[kind]; r != "" {
		return r
	}
	return ReasonCallFails
}

// ReasonOf is the closed word for err.
func ReasonOf(err error) string { return Reason(KindOf(err), CodeOf(err)) }

// Reasons are all words that Reason answers, in no order.
func Reasons() []string {
	seen := map[string]bool{}
	for _, r := range ofCode {
		seen[r] = true
	}
	for _, r := range ofKind {
		seen[r] = true
	}
	out := make([]string, 0, len(seen))
	for r := range seen {
		out = append(out, r)
	}
	return out
}
