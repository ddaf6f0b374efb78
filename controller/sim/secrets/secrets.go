// Package secrets is the Secrets Manager of the local account.
package secrets

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/canteen/deploy/controller/sim/wire"
)

const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
	pending  = "AWSPENDING"

	defaultRecovery, leastRecovery, mostRecovery = 30, 7, 30 // days
)

var validName = regexp.MustCompile(`^[A-Za-z0-9/_+=.@!-]{1,512}$`)

// Engine holds the secrets of one account and region.
type Engine struct {
	account, region string

	mu      sync.Mutex
	secrets map[string]*secret // by name
	made    map[string]int     // how many secrets there were of a name
}

type secret struct {
	name, description string
	arn               string
	created, changed  time.Time
	deleted           *time.Time // when DeleteSecret was called
	purge             time.Time
	versions          map[string]string // id → value
	stages            map[string]string // staging label → version id
	tags              []types.Tag
}

// New makes an engine without secrets.
func New(account, region string) *Engine {
	return &Engine{account: account, region: region, secrets: map[string]*secret{}, made: map[string]int{}}
}

// CreateSecret makes a secret; without SecretString it has no version yet. One of a name that was deleted has another ARN.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
func (e *Engine) CreateSecret(_ context.Context, in *secretsmanager.CreateSecretInput) (*secretsmanager.CreateSecretOutput, error) {
	if err := wire.Refuse(in, "Name", "SecretString", "ClientRequestToken", "Description", "Tags"); err != nil {
		return nil, err
	}
	if !validName.MatchString(aws.ToString(in.Name)) {
		return nil, &types.InvalidParameterException{Message: aws.String("Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if old := e.byID(aws.ToString(in.Name)); old != nil {
		if old.deleted != nil {
			return nil, invalidRequest("You can't create this secret because a secret with this name is already scheduled for deletion.")
		}
		return nil, &types.ResourceExistsException{Message: aws.String("The operation failed because the secret " + *in.Name + " already exists.")}
	}
	now := time.Now()
	s := &secret{
		name: *in.Name, description: aws.ToString(in.Description), created: now, changed: now, tags: in.Tags,
		arn:      fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:%s-%s", e.region, e.account, *in.Name, suffix(*in.Name, e.made[*in.Name])),
		versions: map[string]string{}, stages: map[string]string{},
	}
	e.secrets[s.name] = s
	e.made[s.name]++
	out := &secretsmanager.CreateSecretOutput{ARN: &s.arn, Name: &s.name}
	if in.SecretString != nil {
		out.VersionId = aws.String(s.put(*in.SecretString, in.ClientRequestToken))
	}
	return out, nil
}

// PutSecretValue makes a new version the current one, or gives it the stages that are named.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_PutSecretValue.html
func (e *Engine) PutSecretValue(_ context.Context, in *secretsmanager.PutSecretValueInput) (*secretsmanager.PutSecretValueOutput, error) {
	if err := wire.Refuse(in, "SecretId", "SecretString", "ClientRequestToken", "VersionStages"); err != nil {
		return nil, err
	}
	if in.SecretString == nil {
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	id := s.put(*in.SecretString, in.ClientRequestToken, in.VersionStages...)
	return &secretsmanager.PutSecretValueOutput{ARN: &s.arn, Name: &s.name, VersionId: &id, VersionStages: s.labels(id)}, nil
}

// DescribeSecret answers everything but the value, also of a secret that waits for its deletion.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func (e *Engine) DescribeSecret(_ context.Context, in *secretsmanager.DescribeSecretInput) (*secretsmanager.DescribeSecretOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.byID(aws.ToString(in.SecretId))
	if s == nil {
		return nil, notFound("Secrets Manager can't find the specified secret.")
	}
	out := &secretsmanager.DescribeSecretOutput{
		ARN: &s.arn, Name: &s.name, CreatedDate: &s.created, LastChangedDate: aws.Time(s.changed), DeletedDate: s.deleted,
		Tags: s.tags, VersionIdsToStages: map[string][]string{},
	}
	if s.description != "" {
		out.Description = &s.description
	}
	for id := range s.versions {
		if labels := s.labels(id); len(labels) > 0 {
			out.VersionIdsToStages[id] = labels
		}
	}
	return out, nil
}

// GetSecretValue answers the value of a version or stage, AWSCURRENT where none is named.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
func (e *Engine) GetSecretValue(_ context.Context, in *secretsmanager.GetSecretValueInput) (*secretsmanager.GetSecretValueOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s, err := e.usable(in.SecretId)
	if err != nil {
		return nil, err
	}
	id, value, err := s.version(aws.ToString(in.VersionId), aws.ToString(in.VersionStage))
	if err != nil {
		return nil, err
	}
	return &secretsmanager.GetSecretValueOutput{
		ARN: &s.arn, Name: &s.name, VersionId: &id, SecretString: &value, VersionStages: s.labels(id), CreatedDate: aws.Time(s.changed),
	}, nil
}

// DeleteSecret schedules a deletion, or deletes at once with ForceDeleteWithoutRecovery.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
func (e *Engine) DeleteSecret(_ context.Context, in *secretsmanager.DeleteSecretInput) (*secretsmanager.DeleteSecretOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	days := int64(defaultRecovery)
	if in.RecoveryWindowInDays != nil {
		days = *in.RecoveryWindowInDays
	}
	force := aws.ToBool(in.ForceDeleteWithoutRecovery)
	if days < leastRecovery || days > mostRecovery || (force && in.RecoveryWindowInDays != nil) {
		return nil, &types.InvalidParameterException{Message: aws.String("The RecoveryWindowInDays value must be between 7 and 30 days (inclusive), and cannot be used with ForceDeleteWithoutRecovery.")}
	}
	s := e.byID(aws.ToString(in.SecretId))
	if s == nil {
		return nil, notFound("Secrets Manager can't find the specified secret.")
	}
	now := time.Now()
	if force {
		delete(e.secrets, s.name)
		return &secretsmanager.DeleteSecretOutput{ARN: &s.arn, Name: &s.name, DeletionDate: &now}, nil
	}
	if s.deleted == nil {
		s.deleted, s.purge = &now, now.AddDate(0, 0, int(days))
	}
	return &secretsmanager.DeleteSecretOutput{ARN: &s.arn, Name: &s.name, DeletionDate: aws.Time(s.purge)}, nil
}

// RestoreSecret takes a scheduled deletion back.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RestoreSecret.html
func (e *Engine) RestoreSecret(_ context.Context, in *secretsmanager.RestoreSecretInput) (*secretsmanager.RestoreSecretOutput, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.byID(aws.ToString(in.SecretId))
	if s == nil {
		return nil, notFound("Secrets Manager can't find the specified secret.")
	}
	s.deleted = nil
	return &secretsmanager.RestoreSecretOutput{ARN: &s.arn, Name: &s.name}, nil
}

// byID finds by name, full ARN, or ARN without the six random characters. A secret past its recovery window
// is gone.
func (e *Engine) byID(id string) *secret {
	s := e.secrets[id]
	if s == nil {
		for _, c := range e.secrets {
			if c.arn == id || c.arn[:len(c.arn)-suffixLen-1] == id {
				s = c
				break
			}
		}
	}
	if s != nil && s.deleted != nil && !time.Now().Before(s.purge) {
		delete(e.secrets, s.name)
		return nil
	}
	return s
}

func (e *Engine) usable(id *string) (*secret, error) {
	s := e.byID(aws.ToString(id))
	if s == nil {
		return nil, notFound("Secrets Manager can't find the specified secret.")
	}
	if s.deleted != nil {
		return nil, invalidRequest("You can't perform this operation on the secret because it was marked for deletion.")
	}
	return s, nil
}

// put adds a version with its stages, the current one where none is named. The same token again changes nothing,
// as AWS promises for the same value.
func (s *secret) put(value string, token *string, stages ...string) string {
	id := aws.ToString(token)
	if id == "" {
		id = fmt.Sprintf("%08d-0000-4000-8000-%012d", len(s.versions)+1, len(s.versions)+1)
	}
	if _, again := s.versions[id]; again {
		return id
	}
	s.versions[id] = value
	if len(stages) == 0 {
		stages = []string{current}
	}
	for _, stage := range stages {
		s.move(stage, id)
	}
	s.changed = time.Now()
	return id
}

func (s *secret) version(id, stage string) (string, string, error) {
	if id == "" {
		if stage == "" {
			stage = current
		}
		id = s.stages[stage]
		if id == "" {
			return "", "", notFound("Secrets Manager can't find the specified secret value for staging label: " + stage)
		}
	}
	value, ok := s.versions[id]
	if !ok || (stage != "" && s.stages[stage] != id) {
		return "", "", notFound("Secrets Manager can't find the specified secret value for VersionId: " + id)
	}
	return id, value, nil
}

func (s *secret) labels(id string) []string {
	var out []string
	for _, l := range slices.Sorted(maps.Keys(s.stages)) {
		if s.stages[l] == id {
			out = append(out, l)
		}
	}
	return out
}

// suffix stands for the six random characters at the end of a secret's ARN; here they derive from the name,
// and from how many secrets there were of it before.
func suffix(name string, before int) string {
	const alphabet = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
	if before > 0 {
		name += "#" + strconv.Itoa(before)
	}
	sum := sha256.Sum256([]byte(name))
	out := make([]byte, suffixLen)
	for i := range out {
		out[i] = alphabet[int(sum[i])%len(alphabet)]
	}
	return string(out)
}

const suffixLen = 6

// PutBack makes a secret again that was taken away, under the ARN that it had: as if it had never been gone.
func (e *Engine) PutBack(name, arn, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	now := time.Now()
	s := &secret{name: name, arn: arn, created: now, changed: now, versions: map[string]string{}, stages: map[string]string{}}
	s.put(value, nil)
	e.secrets[name] = s
}

func notFound(m string) error       { return &types.ResourceNotFoundException{Message: &m} }
func invalidRequest(m string) error { return &types.InvalidRequestException{Message: &m} }
