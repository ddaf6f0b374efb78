package ecr_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsecr "github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim/ecr"
)

func sum(body string) string { return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(body))) }

func codeOf(err error) string {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return api.ErrorCode()
	}
	return fmt.Sprint(err)
}

// layer uploads a layer whose parts these are.
func layer(t *testing.T, e *ecr.Engine, digest string, parts ...string) error {
	t.Helper()
	name, from := aws.String("orders"), 0
	begun, err := e.InitiateLayerUpload(t.Context(), &awsecr.InitiateLayerUploadInput{RepositoryName: name})
	if err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := e.UploadLayerPart(t.Context(), &awsecr.UploadLayerPartInput{
			RepositoryName: name, UploadId: begun.UploadId, LayerPartBlob: []byte(part),
			PartFirstByte: aws.Int64(int64(from)), PartLastByte: aws.Int64(int64(from + len(part) - 1)),
		}); err != nil {
			return err
		}
		from += len(part)
	}
	_, err = e.CompleteLayerUpload(t.Context(), &awsecr.CompleteLayerUploadInput{RepositoryName: name, UploadId: begun.UploadId, LayerDigests: []string{digest}})
	return err
}

func address(t *testing.T, e *ecr.Engine, repository, digest string) (string, error) {
	t.Helper()
	out, err := e.GetDownloadUrlForLayer(t.Context(), &awsecr.GetDownloadUrlForLayerInput{RepositoryName: &repository, LayerDigest: &digest})
	if err != nil {
		return "", err
	}
	return *out.DownloadUrl, nil
}

func fetch(t *testing.T, e *ecr.Engine, repository, digest string) string {
	t.Helper()
	at, err := address(t, e, repository, digest)
	if err != nil {
		t.Fatal(err)
	}
	status, body := e.Download(httptest.NewRequest(http.MethodGet, at, nil))
	if status != http.StatusOK {
		t.Fatalf("%s answered %d %s", at, status, body)
	}
	return string(body)
}

func TestLayersComeInParts(t *testing.T) {
	e := registry(t, types.ImageTagMutabilityMutable)
	whole := strings.Repeat("x", 5<<20)
	if err := layer(t, e, sum(whole+"end"), whole, "end"); err != nil {
		t.Fatal(err)
	}
	for want, err := range map[string]error{
		"LayerAlreadyExistsException": layer(t, e, sum(whole+"end"), whole+"end"),
		"InvalidLayerException":       layer(t, e, sum("one"), "other"),
		"InvalidLayerPartException":   layer(t, e, sum("ab"), "a", "b"), // the first is too small to be followed
		"EmptyUploadException":        layer(t, e, sum("")),
	} {
		if codeOf(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if _, err := e.UploadLayerPart(t.Context(), &awsecr.UploadLayerPartInput{RepositoryName: aws.String("orders"), UploadId: aws.String("none")}); codeOf(err) != "UploadNotFoundException" {
		t.Errorf("an upload that was never begun: %v", err)
	}
}

// A layer can be fetched once an image has it, and an image be pushed once its layers are there.
func TestLayersBelongToImages(t *testing.T) {
	e := registry(t, types.ImageTagMutabilityMutable)
	config := `{"config":{}}`
	manifest := fmt.Sprintf(`{"schemaVersion":2,"config":{"digest":%q},"layers":[]}`, sum(config))
	if _, code := push(t, e, "v1", manifest); code != "LayersNotFoundException" {
		t.Errorf("pushed without its configuration: %q", code)
	}
	if _, err := address(t, e, "orders", sum(config)); codeOf(err) != "LayersNotFoundException" {
		t.Errorf("a layer that is not there: %v", err)
	}
	if err := layer(t, e, sum(config), config); err != nil {
		t.Fatal(err)
	}
	if _, err := address(t, e, "orders", sum(config)); codeOf(err) != "LayerInaccessibleException" {
		t.Errorf("a layer of no image: %v", err)
	}
	if _, err := address(t, e, "none", sum(config)); codeOf(err) != "RepositoryNotFoundException" {
		t.Errorf("no repository: %v", err)
	}
	if _, err := address(t, e, "orders", "sha256:0"); codeOf(err) != "InvalidParameterException" {
		t.Errorf("no digest: %v", err)
	}
	digest, _ := push(t, e, "v1", manifest)
	if got := fetch(t, e, "orders", sum(config)); got != config {
		t.Errorf("fetched %q", got)
	}
	if _, code := push(t, e, "many", `{"schemaVersion":2,"manifests":[{"digest":"sha256:0"}]}`); code != "ReferencedImagesNotFoundException" {
		t.Errorf("an index of an image that is not there: %q", code)
	}
	index, code := push(t, e, "many", fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":%q}]}`, digest))
	if code != "" {
		t.Fatal(code)
	}
	out, err := e.BatchGetImage(t.Context(), &awsecr.BatchGetImageInput{RepositoryName: aws.String("orders"), ImageIds: []types.ImageIdentifier{{ImageDigest: &index}}})
	if err != nil || *out.Images[0].ImageManifestMediaType != "application/vnd.oci.image.index.v1+json" {
		t.Errorf("%+v, %v", out, err)
	}
}

// A URL is good for what was signed, for an hour, and without credentials beside it.
func TestDownloadsAreSigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := registry(t, types.ImageTagMutabilityMutable)
		if err := e.PutLabelled("orders", "v1", sum("v1"), nil, nil); err != nil {
			t.Fatal(err)
		}
		out, err := e.BatchGetImage(t.Context(), &awsecr.BatchGetImageInput{RepositoryName: aws.String("orders"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}}})
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(*out.Images[0].ImageManifest, `"config":{"digest":"`)
		at, err := address(t, e, "orders", rest[:len(sum(""))])
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(at, "https://prod-eu-central-1-starport-layer-bucket.s3.eu-central-1.amazonaws.com/") {
			t.Errorf("the layer is at %s", at)
		}
		ask := func(method, at, header string) int {
			r := httptest.NewRequest(method, at, nil)
			if header != "" {
				r.Header.Set(header, "x")
			}
			if !ecr.IsDownload(r) {
				t.Errorf("%s is no download", at)
			}
			status, _ := e.Download(r)
			return status
		}
		for _, c := range []struct {
			what, method, at, header string
			want                     int
		}{
			{"as it is", "GET", at, "", 200},
			{"another method", "PUT", at, "", 403},
			{"another layer", "GET", strings.Replace(at, "/orders/", "/other/", 1), "", 403},
			{"another hour", "GET", strings.Replace(at, "X-Amz-Date=2", "X-Amz-Date=3", 1), "", 403},
			{"no signature", "GET", at[:strings.IndexByte(at, '?')], "", 403},
			{"credentials", "GET", at, "Authorization", 400},
			{"a token", "GET", at, "X-Amz-Security-Token", 400},
		} {
			if got := ask(c.method, c.at, c.header); got != c.want {
				t.Errorf("%s: %d, want %d", c.what, got, c.want)
			}
		}
		time.Sleep(61 * time.Minute)
		if got := ask("GET", at, ""); got != 403 {
			t.Errorf("after an hour: %d", got)
		}
	})
}
