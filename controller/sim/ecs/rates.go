package ecs

import (
	"time"

	"golang.org/x/time/rate"
)

// Fargate launches tasks at a rate: of an account 20 a second with as many at once, for On-Demand and for Spot each; of one
// service 500 a minute. RunTask is refused beyond the account's rate, the service scheduler waits.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/throttling.html
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-quotas.html

const looksPerMinute = 6 // of the scheduler, at AWS's pace; what one look may start

// launchRates are the account's buckets.
type launchRates struct{ onDemand, spot *rate.Limiter }

func newLaunchRates(q Quotas) launchRates {
	one := func() *rate.Limiter { return rate.NewLimiter(rate.Limit(q.LaunchesPerSecond), q.LaunchBurst) }
	return launchRates{one(), one()}
}

func (r launchRates) of(provider string) *rate.Limiter {
	if provider == fargateSpot {
		return r.spot
	}
	return r.onDemand
}

// launchBucket is one service's: what it may start in a look of the scheduler, and its rate over the minute.
func (e *Engine) launchBucket(s *service) *rate.Limiter {
	if s.launches == nil {
		perMinute := e.cfg.Quotas.LaunchesPerMinute
		s.launches = rate.NewLimiter(rate.Limit(float64(perMinute)/time.Minute.Seconds()), max(1, perMinute/looksPerMinute))
	}
	return s.launches
}

// mayRun takes what a RunTask of so many tasks needs, or nothing.
func (e *Engine) mayRun(providers []string) bool {
	need := map[*rate.Limiter]int{}
	for _, p := range providers {
		need[e.rates.of(p)]++
	}
	for l, n := range need {
		if l.TokensAt(e.now) < float64(n) {
			return false
		}
	}
	for l, n := range need {
		l.AllowN(e.now, n)
	}
	return true
}

// mayStart takes one token of the service and one of the account, or none of either.
func (e *Engine) mayStart(s *service, provider string) bool {
	own, account := e.launchBucket(s), e.rates.of(provider)
	if own.TokensAt(e.now) < 1 || account.TokensAt(e.now) < 1 {
		return false
	}
	return own.AllowN(e.now, 1) && account.AllowN(e.now, 1)
}
