package sim

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/canteen/deploy/controller/sim/process"
)

// isECR holds for names of images in Amazon ECR, this account's or another one's, where nothing is.
func isECR(ref string) bool {
	host, _, _ := strings.Cut(ref, "/")
	return strings.Contains(host, ".dkr.ecr.") && strings.HasSuffix(host, ".amazonaws.com")
}

func isSecretARN(s string) bool { return strings.HasPrefix(s, "arn:aws:secretsmanager:") }

// ProcessAnnotation is the annotation of an OCI manifest that says, as JSON, which process the image runs: the
// value of `process` in a seed file. Images that are pushed with PutImage carry it.
const ProcessAnnotation = "local.account.process"

// specOfManifest reads an image's process out of its manifest; nil where it has none.
func specOfManifest(manifest string) (any, error) {
	var m struct {
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal([]byte(manifest), &m); err != nil {
		return nil, fmt.Errorf("the manifest is not JSON: %w", err)
	}
	text, ok := m.Annotations[ProcessAnnotation]
	if !ok {
		return nil, nil
	}
	var spec process.Spec
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return nil, fmt.Errorf("annotation %s: %w", ProcessAnnotation, err)
	}
	return &spec, nil
}
