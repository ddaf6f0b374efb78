package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/canteen/deploy/worker/store"
)

// settings are what the environment says.
type settings struct {
	port, inFlightMax, poolMax, pollers int
	drain, visibility                   time.Duration
	queueURL                            string // empty: no queue, the service does the work itself
	source                              store.Source
}

func readSettings(getenv func(string) string) (s settings, err error) {
	var errs [8]error
	s.port, errs[0] = number(getenv, "PORT", 8080, 0, 65535)
	s.inFlightMax, errs[1] = number(getenv, "MAX_IN_FLIGHT", 256, 1, 100_000)
	s.poolMax, errs[2] = number(getenv, "DB_POOL_MAX", store.PoolDefault, 1, 1000)
	s.pollers, errs[3] = number(getenv, "QUEUE_POLLERS", 0, 1, 64) // 0: as queue.Config says
	s.drain, errs[4] = duration(getenv, "DRAIN", 2*time.Second, 0, drainMax)
	// SQS's longest is 12 h, but a process that died keeps its messages for as long as this.
	s.visibility, errs[5] = duration(getenv, "QUEUE_VISIBILITY", 30*time.Second, 3*time.Second, time.Hour)
	s.source, errs[6] = store.FromEnv(getenv)
	if s.queueURL = getenv("QUEUE_URL"); s.queueURL != "" && !strings.HasPrefix(s.queueURL, "https://") && !strings.HasPrefix(s.queueURL, "http://") {
		errs[7] = errors.New("QUEUE_URL must be the queue's URL, such as https://sqs.eu-central-1.amazonaws.com/123456789012/orders.fifo")
	}
	return s, errors.Join(errs[:]...)
}

func duration(getenv func(string) string, name string, fallback, low, high time.Duration) (time.Duration, error) {
	text := getenv(name)
	if text == "" {
		return fallback, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < low || d > high {
		return 0, fmt.Errorf("%s must be a duration from %s to %s, is %q", name, low, high, text)
	}
	return d, nil
}

func number(getenv func(string) string, name string, fallback, low, high int) (int, error) {
	text := getenv(name)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%s must be a number from %d to %d, is %q", name, low, high, text)
	}
	return n, nil
}
