package client

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/canteen/deploy/controller/urgency"
)

// operationDownload is what S3 calls it.
const operationDownload = "GetObject"

// Downloads fetches what AWS answers a signed URL for. The URL is all that it sends: no credentials, no cookies, and no redirect is
// followed. Its requests draw on a budget, are measured and repeated as other reads are.
type Downloads struct {
	http  *http.Client
	gate  *gate
	plain bool // http:// may be fetched too
}

// newDownloads uses the transport of the other clients. Only where the registry's endpoint was set to one without TLS, as that of an
// account on this machine is, are URLs without TLS fetched.
func newDownloads(client aws.HTTPClient, g *gate, endpoint *string) *Downloads {
	d := &Downloads{gate: g, plain: endpoint != nil && strings.HasPrefix(*endpoint, "http://")}
	d.http = &http.Client{Transport: transportOf(client), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return d
}

func transportOf(client aws.HTTPClient) http.RoundTripper {
	switch c := client.(type) {
	case nil:
		return awshttp.NewBuildableClient().GetTransport()
	case *awshttp.BuildableClient:
		return c.GetTransport()
	case *http.Client:
		return c.Transport
	}
	return doer{client}
}

// doer is a client of whatever kind as a transport.
type doer struct{ client aws.HTTPClient }

func (d doer) RoundTrip(r *http.Request) (*http.Response, error) { return d.client.Do(r) }

// TooLargeError is an answer of more bytes than were to be read.
type TooLargeError struct{ Max int64 }

func (e *TooLargeError) Error() string { return fmt.Sprintf("it has more than %d bytes", e.Max) }

// Get fetches a URL whose content has at most so many bytes. S3's refusals are errors with its code (smithy.APIError); a longer
// content is a TooLargeError. Nothing of the URL's query, which is as good as a password for its time, gets into an error.
func (d *Downloads) Get(ctx context.Context, at string, most int64) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !d.plain) {
		return nil, errors.New("the URL that AWS answered is none of https")
	}
	again := newRetryer(d.gate.opts)
	for attempt := 1; ; attempt++ {
		body, err := d.attempt(ctx, u, most)
		if err == nil && int64(len(body)) > most {
			return nil, &TooLargeError{Max: most}
		}
		if err == nil || ctx.Err() != nil || attempt == again.MaxAttempts() || !again.IsErrorRetryable(err) {
			return body, err
		}
		pause, delayErr := again.RetryDelay(attempt, err)
		if delayErr != nil {
			return nil, err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// attempt fetches one byte more than the most, where there are more.
func (d *Downloads) attempt(ctx context.Context, at *url.URL, most int64) ([]byte, error) {
	bucket := d.gate.buckets[BucketDownloads]
	from := time.Now()
	waiting, cancel := context.WithTimeout(ctx, d.gate.opts.WaitMax)
	err := bucket.wait(waiting)
	cancel()
	d.gate.metrics.waited(urgency.Of(ctx), time.Since(from))
	if err != nil {
		return nil, &BudgetError{Bucket: BucketDownloads, Err: err}
	}
	from = time.Now()
	sending, cancel := context.WithTimeout(ctx, d.gate.opts.AttemptMax)
	defer cancel()
	body, err := d.send(sending, at, most)
	switch d.gate.metrics.answered(serviceS3, operationDownload, time.Since(from), err) {
	case codeThrottled:
		bucket.throttled()
	case codeOK:
		bucket.served()
	}
	return body, err
}

// errorMax is how much of a refusal is read: S3's are some hundred bytes.
const errorMax = 4 << 10

func (d *Downloads) send(ctx context.Context, at *url.URL, most int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("the URL that AWS answered cannot be asked for")
	}
	resp, err := d.http.Do(req)
	if err != nil {
		var of *url.Error
		if errors.As(err, &of) {
			err = of.Err // without the URL
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // what was read of it counts
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, errorMax)) // what it says beside its status, as far as it came
		return nil, refusal(at.Host, resp.StatusCode, body)
	}
	return io.ReadAll(io.LimitReader(resp.Body, most+1))
}

// refusal is an answer of S3's that is none of content.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func refusal(host string, status int, body []byte) error {
	var told struct{ Code, Message string }
	if xml.Unmarshal(body, &told) != nil || told.Code == "" {
		told.Code, told.Message = fmt.Sprintf("HTTP%d", status), ""
	}
	e := &smithy.GenericAPIError{Code: told.Code, Message: fmt.Sprintf("%s answered %d: %s", host, status, told.Message), Fault: smithy.FaultClient}
	if status >= http.StatusInternalServerError {
		e.Fault = smithy.FaultServer
	}
	return &answered{e, status}
}

// answered is a refusal with the status that retries go by.
type answered struct {
	*smithy.GenericAPIError
	status int
}

// HTTPStatusCode is what the SDK's retries ask for.
func (a *answered) HTTPStatusCode() int { return a.status }
