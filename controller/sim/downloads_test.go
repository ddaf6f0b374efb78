package sim_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/wire"
)

// Over HTTP a layer is where the account is; and a download goes wrong, and is seen, as a call does.
func TestLayersOverHTTP(t *testing.T) {
	a := open(t, sim.Config{}, "repositories: [{name: orders, images: [{tag: v1, labels: {org.opencontainers.image.revision: 1a2b3c4}}]}]")
	l, err := sim.Listen(t.Context(), "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- a.Serve(ctx, l) }()
	cfg := a.AWSConfig()
	cfg.HTTPClient, cfg.BaseEndpoint = nil, aws.String("http://"+l.Addr().String())
	client := ecr.NewFromConfig(cfg)
	batch := ok(t, client.BatchGetImage, &ecr.BatchGetImageInput{RepositoryName: aws.String("orders"), ImageIds: []types.ImageIdentifier{{ImageTag: aws.String("v1")}}})
	_, rest, _ := strings.Cut(*batch.Images[0].ImageManifest, `"config":{"digest":"`)
	layer := rest[:len("sha256:")+64]
	url := *ok(t, client.GetDownloadUrlForLayer, &ecr.GetDownloadUrlForLayerInput{RepositoryName: aws.String("orders"), LayerDigest: &layer}).DownloadUrl
	if !strings.HasPrefix(url, *cfg.BaseEndpoint+"/") {
		t.Errorf("the layer is at %s", url)
	}
	if status, body := get(t, http.DefaultClient, url); status != http.StatusOK || !strings.Contains(body, "1a2b3c4") {
		t.Errorf("%d %s", status, body)
	}
	a.Faults.Add(
		wire.Fault{Service: sim.LayerService, Before: &smithy.GenericAPIError{Code: "AccessDenied", Fault: smithy.FaultClient}, Times: 1},
		wire.Fault{Service: sim.LayerService, Before: &smithy.GenericAPIError{Code: "SlowDown", Fault: smithy.FaultServer}, From: 2, Times: 1},
		wire.Fault{Service: sim.LayerService, Change: func(*wire.Call, any) any { return &sim.Layer{Status: 200, Body: []byte("damaged")} }, From: 3, Times: 1},
		wire.Fault{Service: sim.LayerService, After: wire.ErrResponseLost, From: 4},
	)
	for _, want := range []struct {
		status int
		body   string
	}{{403, "AccessDenied"}, {503, "SlowDown"}, {200, "damaged"}} {
		if status, body := get(t, http.DefaultClient, url); status != want.status || !strings.Contains(body, want.body) {
			t.Errorf("%d %s, want %d %s", status, body, want.status, want.body)
		}
	}
	if resp, err := http.Get(url); err == nil { //nolint:noctx // it does not answer
		resp.Body.Close()
		t.Error("a lost answer came")
	}
	if n := a.Calls.Count(sim.LayerService, sim.LayerOperation); n < 5 { // a client may have asked again where no answer came
		t.Errorf("%d downloads in the log, want 5", n)
	}
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
