package ecr

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Layers lie in a bucket of ECR's own, from which they are fetched by a URL that is signed in advance. Through a client of AWS's
// names that is S3's host; for clients of another endpoint it is that one, since their machine knows no other.
// https://docs.aws.amazon.com/AmazonECR/latest/userguide/vpc-endpoints.html#ecr-minimum-s3-perms

const (
	downloads   = "/starport-layer/" // what the paths of layers begin with
	validFor    = time.Hour
	amzDate     = "20060102T150405Z"
	awsSuffix   = ".amazonaws.com"
	downloadKey = "of the account on this machine" // nobody is kept out by it: it shows what was changed
)

// presign is where the layer is for an hour.
func (e *Engine) presign(endpoint url.URL, repository, digest string) string {
	at := url.URL{Scheme: endpoint.Scheme, Host: endpoint.Host, Path: downloads + repository + "/" + strings.TrimPrefix(digest, "sha256:")}
	if host := endpoint.Hostname(); host == "" || strings.HasSuffix(host, awsSuffix) {
		at.Scheme, at.Host = "https", fmt.Sprintf("prod-%s-starport-layer-bucket.s3.%[1]s%s", e.config.Region, awsSuffix)
	}
	date := time.Now().UTC().Format(amzDate)
	at.RawQuery = url.Values{
		"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Date": {date}, "X-Amz-SignedHeaders": {"host"},
		"X-Amz-Expires":    {strconv.Itoa(int(validFor / time.Second))},
		"X-Amz-Credential": {"AKIASTARPORT/" + date[:8] + "/" + e.config.Region + "/s3/aws4_request"},
		"X-Amz-Signature":  {signature(at.Host, at.Path, date)},
	}.Encode()
	return at.String()
}

func signature(host, path, date string) string {
	mac := hmac.New(sha256.New, []byte(downloadKey))
	fmt.Fprintf(mac, "%s\n%s\n%s", host, path, date)
	return hex.EncodeToString(mac.Sum(nil))
}

// IsDownload reports whether a request is for a layer's URL.
func IsDownload(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, downloads) }

// Download answers a request for a layer as S3 does. A signature is of its host, path and hour; a request that brings credentials
// of its own beside it is refused, since only one of the two can count.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
func (e *Engine) Download(r *http.Request) (status int, body []byte) {
	query, host := r.URL.Query(), r.URL.Host
	if host == "" {
		host = r.Host
	}
	date := query.Get("X-Amz-Date")
	signed, err := time.Parse(amzDate, date)
	switch {
	case r.Method != http.MethodGet:
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case r.Header.Get("Authorization") != "" || r.Header.Get("X-Amz-Security-Token") != "":
		return refuse(http.StatusBadRequest, "InvalidArgument", "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified")
	case err != nil || !hmac.Equal([]byte(query.Get("X-Amz-Signature")), []byte(signature(host, r.URL.Path, date))):
		return refuse(http.StatusForbidden, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided.")
	case time.Since(signed) > validFor:
		return refuse(http.StatusForbidden, "AccessDenied", "Request has expired")
	}
	rest := strings.TrimPrefix(r.URL.Path, downloads)
	cut := strings.LastIndexByte(rest, '/')
	e.mu.Lock()
	defer e.mu.Unlock()
	if repo := e.repositories[rest[:max(cut, 0)]]; repo != nil {
		if layer := repo.layers["sha256:"+rest[cut+1:]]; layer != nil {
			return http.StatusOK, layer
		}
	}
	return refuse(http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
}

func refuse(status int, code, message string) (int, []byte) {
	var quoted strings.Builder
	_ = xml.EscapeText(&quoted, []byte(message)) // a builder takes everything
	return status, []byte(`<?xml version="1.0" encoding="UTF-8"?>` + "\n<Error><Code>" + code + "</Code><Message>" + quoted.String() + "</Message></Error>")
}
