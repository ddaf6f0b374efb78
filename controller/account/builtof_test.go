package account_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	ecrtypes "github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/account"
	"github.com/canteen/deploy/controller/account/client"
	"github.com/canteen/deploy/controller/fault"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	index  = "application/vnd.oci.image.index.v1+json"
)

// labelled is the configuration of an image with the label.
func labelled(revision string) string {
	return fmt.Sprintf(`{"architecture":"amd64","os":"linux","config":{"Env":["A=b"],"Labels":{"org.opencontainers.image.revision":%q}}}`, revision)
}

// upload puts a layer into the repository, as a build's push does.
func (w *world) upload(layer string) (digestOf string) {
	w.Helper()
	c := ecr.NewFromConfig(w.sim.AWSConfig())
	digestOf = digest(layer)
	id := must(c.InitiateLayerUpload(w.ctx(), &ecr.InitiateLayerUploadInput{RepositoryName: aws.String("orders")})).UploadId
	must(c.UploadLayerPart(w.ctx(), &ecr.UploadLayerPartInput{RepositoryName: aws.String("orders"), UploadId: id, LayerPartBlob: []byte(layer), PartFirstByte: aws.Int64(0), PartLastByte: aws.Int64(int64(len(layer) - 1))}))
	must(c.CompleteLayerUpload(w.ctx(), &ecr.CompleteLayerUploadInput{RepositoryName: aws.String("orders"), UploadId: id, LayerDigests: []string{digestOf}}))
	return digestOf
}

// pushed puts a manifest into the repository under a tag, and answers the image by its digest.
func (w *world) pushed(tag, manifest string) string {
	w.Helper()
	in := &ecr.PutImageInput{RepositoryName: aws.String("orders"), ImageManifest: &manifest}
	if tag != "" {
		in.ImageTag = &tag
	}
	must(ecr.NewFromConfig(w.sim.AWSConfig()).PutImage(w.ctx(), in))
	return w.sim.ECR.Registry() + "/orders@" + digest(manifest)
}

// image is a manifest of a configuration that is in the repository; more is what its JSON has besides.
func (w *world) image(config, kind, more string) string {
	w.Helper()
	return fmt.Sprintf(`{"schemaVersion":2%s,"config":{"mediaType":%q,"digest":%q,"size":%d},"layers":[]}`, more, kind, w.upload(config), len(config))
}

const (
	ociConfig    = "application/vnd.oci.image.config.v1+json"
	dockerConfig = "application/vnd.docker.container.image.v1+json"
	docker       = `,"mediaType":"application/vnd.docker.distribution.manifest.v2+json"`
	annotated    = `,"annotations":{"org.opencontainers.image.revision":"` + commit + `"}`
)

func TestBuiltOf(t *testing.T) {
	tests := map[string]struct {
		push  func(w *world) (image string)
		want  string
		calls int // to ECR and S3
	}{
		"label of an OCI image":    {func(w *world) string { return w.pushed("v7", w.image(labelled(commit), ociConfig, "")) }, commit, 3},
		"label of a Docker image":  {func(w *world) string { return w.pushed("v7", w.image(labelled(commit), dockerConfig, docker)) }, commit, 3},
		"first digits, in capital": {func(w *world) string { return w.pushed("v7", w.image(labelled("01234AB"), ociConfig, "")) }, "01234ab", 3},
		"annotation of a manifest": {func(w *world) string { return w.pushed("v7", w.image(labelled("fedcba9"), ociConfig, annotated)) }, commit, 1},
		"annotation that names no commit": {func(w *world) string {
			return w.pushed("v7", w.image(labelled(commit), ociConfig, `,"annotations":{"org.opencontainers.image.revision":"v1.2.3"}`))
		}, commit, 3},
		"index of several platforms": {func(w *world) string {
			arm, amd := w.image(labelled("fedcba9"), ociConfig, `,"annotations":{"for":"arm"}`), w.image(labelled(commit), ociConfig, "")
			attestation := w.image("{}", "application/vnd.in-toto+json", "")
			for _, m := range []string{arm, amd, attestation} {
				w.pushed("", m)
			}
			return w.pushed("v7", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[
				{"digest":%q,"annotations":{"vnd.docker.reference.type":"attestation-manifest"},"platform":{"os":"unknown","architecture":"unknown"}},
				{"digest":%q,"platform":{"os":"linux","architecture":"arm64"}},{"digest":%q,"platform":{"os":"linux","architecture":"amd64"}}]}`,
				index, digest(attestation), digest(arm), digest(amd)))
		}, commit, 4},
		"index without amd64": {func(w *world) string {
			arm, attestation := w.image(labelled(commit), ociConfig, ""), w.image("{}", "application/vnd.in-toto+json", "")
			w.pushed("", arm)
			w.pushed("", attestation)
			return w.pushed("v7", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q,"manifests":[{"digest":%q,"platform":{"os":"unknown"}},{"digest":%q,"platform":{"os":"linux","architecture":"arm64"}}]}`,
				index, digest(attestation), digest(arm)))
		}, commit, 4},
		"annotation of an index": {func(w *world) string {
			amd := w.image(labelled("fedcba9"), ociConfig, "")
			w.pushed("", amd)
			return w.pushed("v7", fmt.Sprintf(`{"schemaVersion":2,"mediaType":%q%s,"manifests":[{"digest":%q}]}`, index, annotated, digest(amd)))
		}, commit, 1},
		"no label":                  {func(w *world) string { return w.pushed("v7", w.image(`{"config":{"Labels":null}}`, ociConfig, "")) }, "", 3},
		"a label that is no commit": {func(w *world) string { return w.pushed("v7", w.image(labelled("main"), ociConfig, "")) }, "", 3},
		"an artifact":               {func(w *world) string { return w.pushed("v7", w.image("{}", "application/vnd.oci.empty.v1+json", "")) }, "", 1},
		"by tag": {func(w *world) string {
			w.pushed("v7", w.image(labelled(commit), ociConfig, ""))
			return w.sim.ECR.Registry() + "/orders:v7"
		}, commit, 3},
		"an image elsewhere":         {func(*world) string { return "public.ecr.aws/docker/library/nginx:1.27" }, "", 0},
		"an image of another region": {func(*world) string { return "000000000000.dkr.ecr.us-east-1.amazonaws.com/orders:v1" }, "", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 30}, func(w *world) {
				image := tt.push(w)
				w.sim.Calls.Reset()
				for range 3 { // the answer is kept, by digest
					if got, err := w.account.BuiltOf(w.ctx(), image); got != tt.want || err != nil {
						w.Fatalf("%q, %v; want %q", got, err, tt.want)
					}
				}
				calls, kept := 0, 0
				for _, n := range w.sim.Calls.Counts() {
					calls += n
				}
				if strings.HasSuffix(image, ":v7") {
					kept = 2 // whose tag it is now must be asked each time
				}
				if calls != tt.calls+kept {
					w.Errorf("%d calls, want %d: %v", calls, tt.calls+kept, w.sim.Calls.Counts())
				}
			})
		})
	}
}

func TestBuiltOfThatCannotBeTold(t *testing.T) {
	s3 := func(f wire.Fault) wire.Fault {
		f.Service, f.Operation = sim.LayerService, sim.LayerOperation
		return f
	}
	good := func(w *world) string { return w.pushed("v7", w.image(labelled(commit), ociConfig, "")) }
	answer := func(status int, body string) wire.Fault {
		return s3(wire.Fault{Change: func(*wire.Call, any) any { return &sim.Layer{Status: status, Body: []byte(body)} }})
	}
	long := strings.Repeat("x", 4<<20+1)
	tests := map[string]struct {
		push  func(w *world) (image string)
		fault wire.Fault
		kind  fault.Kind
		code  string
	}{
		"no such image":      {func(w *world) string { return w.sim.ECR.Registry() + "/orders:none" }, wire.Fault{Service: "none"}, fault.NotFound, "ImageNotFound"},
		"no such repository": {func(w *world) string { return w.sim.ECR.Registry() + "/none:v1" }, wire.Fault{Service: "none"}, fault.NotFound, "RepositoryNotFoundException"},
		"manifest refused":   {good, wire.Fault{Operation: "BatchGetImage", Before: refused("AccessDeniedException")}, fault.Blocked, "AccessDeniedException"},
		"layer refused":      {good, wire.Fault{Operation: "GetDownloadUrlForLayer", Before: refused("AccessDeniedException")}, fault.Blocked, "AccessDeniedException"},
		"layer is not there": {good, wire.Fault{Operation: "GetDownloadUrlForLayer", Before: &ecrtypes.LayersNotFoundException{}}, fault.NotFound, "LayersNotFoundException"},
		"upstream refuses": {good, wire.Fault{Operation: "BatchGetImage", Change: func(*wire.Call, any) any {
			return &ecr.BatchGetImageOutput{Failures: []ecrtypes.ImageFailure{{FailureCode: ecrtypes.ImageFailureCodeUpstreamAccessDenied}}}
		}}, fault.Blocked, "UpstreamAccessDenied"},
		"an empty answer":    {good, wire.Fault{Operation: "BatchGetImage", Change: func(*wire.Call, any) any { return &ecr.BatchGetImageOutput{} }}, fault.NotFound, "ImageNotFound"},
		"damaged on its way": {good, answer(200, labelled("fedcba9")), fault.Unknown, "digest_mismatch"},
		"longer than told":   {good, answer(200, long), fault.Terminal, "config_too_large"},
		"S3 refuses":         {good, s3(wire.Fault{Before: refused("AccessDenied")}), fault.Blocked, "AccessDenied"},
		"S3 wants it slower": {good, s3(wire.Fault{Before: refused("SlowDown")}), fault.Throttled, "SlowDown"},
		"S3 says nothing":    {good, s3(wire.Fault{After: wire.ErrResponseLost}), fault.Unknown, ""},
		"S3 sends elsewhere": {good, s3(wire.Fault{Change: func(*wire.Call, any) any {
			return &sim.Layer{Status: http.StatusFound, Header: http.Header{"Location": {"https://elsewhere.example/"}}}
		}}), fault.Unknown, "HTTP302"},
		"S3 is too slow": {good, s3(wire.Fault{Delay: time.Minute}), fault.Unknown, ""},
		"not JSON":       {func(w *world) string { return w.pushed("v7", w.image("no", ociConfig, "")) }, wire.Fault{Service: "none"}, fault.Terminal, "config_unreadable"},
		"says that it is long": {func(w *world) string {
			return w.pushed("v7", strings.Replace(w.image(labelled(commit), ociConfig, ""), `"size":`, `"size":9`+strings.Repeat("0", 6), 1))
		}, wire.Fault{Service: "none"}, fault.Terminal, "config_too_large"},
		"a manifest that is long": {good, wire.Fault{Operation: "BatchGetImage", Change: func(_ *wire.Call, out any) any {
			out.(*ecr.BatchGetImageOutput).Images[0].ImageManifest = &long
			return out
		}}, fault.Terminal, "manifest_too_large"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 31}, func(w *world) {
				image := tt.push(w)
				w.sim.Faults.Add(tt.fault)
				from := time.Now()
				got, err := w.account.BuiltOf(w.ctx(), image)
				if got != "" || err == nil || fault.KindOf(err) != tt.kind || fault.CodeOf(err) != tt.code {
					w.Errorf("%q, error %v of kind %q and code %q, want kind %q and code %q", got, err, fault.KindOf(err), fault.CodeOf(err), tt.kind, tt.code)
				}
				if strings.Contains(fmt.Sprint(err), "X-Amz") {
					w.Errorf("the error tells the signed URL: %v", err)
				}
				if took := time.Since(from); took > time.Minute {
					w.Errorf("it took %s to give up", took)
				}
				w.sim.Faults.Clear()
				if tt.fault.Service == "none" {
					return // it is so for ever
				}
				if got, err := w.account.BuiltOf(w.ctx(), image); got != commit || err != nil {
					w.Errorf("once the trouble is over: %q, %v", got, err)
				}
			})
		})
	}
}

// One answer that got lost on its way is asked for again, as with any read.
func TestDownloadsAreRepeated(t *testing.T) {
	bubble(t, sim.Config{Seed: 32}, func(w *world) {
		image := w.pushed("v7", w.image(labelled(commit), ociConfig, ""))
		w.sim.Faults.Add(
			wire.Fault{Service: sim.LayerService, Before: &smithy.GenericAPIError{Code: "InternalError", Fault: smithy.FaultServer}, Times: 1},
			wire.Fault{Service: sim.LayerService, After: wire.ErrResponseLost, From: 2, Times: 1},
		)
		if got, err := w.account.BuiltOf(w.ctx(), image); got != commit || err != nil {
			w.Errorf("%q, %v", got, err)
		}
		if n := w.sim.Calls.Count(sim.LayerService, sim.LayerOperation); n != 3 {
			w.Errorf("%d downloads, want 3", n)
		}
	})
}

// sniffer keeps what goes over the wire.
type sniffer struct {
	next http.RoundTripper
	mu   sync.Mutex
	sent []*http.Request
}

func (s *sniffer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	s.sent = append(s.sent, r)
	s.mu.Unlock()
	return s.next.RoundTrip(r)
}

// The signed URL gets no credentials, and one without TLS is fetched only of an endpoint that has none.
func TestDownloadsCarryNoCredentials(t *testing.T) {
	bubble(t, sim.Config{Seed: 33}, func(w *world) {
		image := w.pushed("v7", w.image(labelled(commit), ociConfig, ""))
		ask := func(endpoint string, change func(url string) string) (string, error, *sniffer) {
			seen := &sniffer{next: w.sim.RoundTripper()}
			cfg := w.sim.AWSConfig()
			cfg.HTTPClient = &http.Client{Transport: seen}
			if endpoint != "" {
				cfg.BaseEndpoint = &endpoint
			}
			disarm := w.sim.Faults.Arm(wire.Fault{Operation: "GetDownloadUrlForLayer", Change: func(_ *wire.Call, out any) any {
				url := out.(*ecr.GetDownloadUrlForLayerOutput).DownloadUrl
				*url = change(*url)
				return out
			}})
			defer disarm()
			got, err := account.New(client.New(cfg, client.Options{}), account.Options{Account: sim.DefaultAccount, Region: sim.DefaultRegion}).BuiltOf(w.ctx(), image)
			return got, err, seen
		}
		same := func(url string) string { return url }
		got, err, seen := ask("", same)
		if got != commit || err != nil {
			w.Fatal(got, err)
		}
		last := seen.sent[len(seen.sent)-1]
		if last.URL.Scheme != "https" || !strings.Contains(last.URL.Host, ".s3.") || last.Method != http.MethodGet {
			w.Errorf("the last request was %s %s://%s", last.Method, last.URL.Scheme, last.URL.Host)
		}
		for header := range last.Header {
			if strings.HasPrefix(header, "X-Amz") || header == "Authorization" || header == "Cookie" {
				w.Errorf("the download has the header %s", header)
			}
		}
		if _, err, seen := ask("", func(url string) string { return strings.Replace(url, "https:", "http:", 1) }); err == nil || len(seen.sent) != 2 {
			w.Errorf("a URL without TLS: %d requests, error %v", len(seen.sent), err)
		}
		if got, err, _ := ask("http://127.0.0.1:4566", same); got != commit || err != nil {
			w.Errorf("of an account on this machine: %q, %v", got, err)
		}
	})
}
