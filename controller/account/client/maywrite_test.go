package client

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
)

// A write is sent only while it may be, and ends when it must; reads know nothing of that.
func TestMayWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		refused := errors.New("the lease is over")
		var left time.Duration
		sent := 0
		c := newClients(func(_ string, r *http.Request) (*http.Response, error) {
			sent++
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, Options{ReadAttempts: 1, MayWrite: func() (time.Time, error) {
			if left == 0 {
				return time.Time{}, refused
			}
			return time.Now().Add(left), nil
		}})
		update := func() (time.Duration, error) {
			from := time.Now()
			_, err := c.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")})
			return time.Since(from), err
		}
		var write *WriteError
		if _, err := update(); sent != 0 || !errors.Is(err, refused) || !errors.As(err, &write) || write.Sent {
			t.Errorf("%d requests were sent: %v", sent, err)
		}
		for _, tt := range []struct{ may, want time.Duration }{{3 * time.Second, 3 * time.Second}, {time.Minute, 10 * time.Second}} {
			left = tt.may
			took, err := update()
			if took != tt.want || !strings.Contains(err.Error(), "no answer within "+tt.want.String()) || !errors.As(err, &write) || !write.Sent {
				t.Errorf("ended after %s, want %s: %v", took, tt.want, err)
			}
		}
		left = 0
		from := time.Now()
		if _, err := c.ECS.DescribeServices(t.Context(), &ecs.DescribeServicesInput{Services: []string{"s"}}); errors.Is(err, refused) || time.Since(from) != 10*time.Second {
			t.Errorf("a read ended after %s: %v", time.Since(from), err)
		}
	})
}

// What a request has waited for its budget does not count as time that is left: it is asked when it is sent.
func TestMayWriteIsAskedAfterTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, may := time.Now(), 2*time.Second
		sent := 0
		c := newClients(func(string, *http.Request) (*http.Response, error) {
			sent++
			return answer(200, `{"service":{}}`)
		}, Options{Buckets: map[string]Bucket{BucketServiceModify: {Burst: 1, Refill: 0.5}}, MayWrite: func() (time.Time, error) {
			if time.Since(from) > may {
				return time.Time{}, errors.New("too late")
			}
			return time.Now().Add(time.Second), nil
		}})
		for i, ok := range []bool{true, false} {
			if _, err := c.ECS.UpdateService(t.Context(), &ecs.UpdateServiceInput{Service: aws.String("s")}); (err == nil) != ok {
				t.Errorf("write %d: %v", i, err)
			}
		}
		if sent != 1 {
			t.Errorf("%d were sent", sent)
		}
	})
}
