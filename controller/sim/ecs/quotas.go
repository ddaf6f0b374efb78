package ecs

import (
	"encoding/json"
	"math"
	"reflect"
)

// Quotas are AWS's limits for one account and region that a test may want to
// reach (AWS General Reference, ecs-service.html). The others are constants.
type Quotas struct {
	Clusters            int // in the account: 10,000
	ServicesPerCluster  int // 5,000
	TasksPerService     int // 5,000
	Revisions           int // of a family, deregistered ones too: 1,000,000
	TaskDefinitionBytes int // 64 KiB
	Provisioning        int // tasks in PROVISIONING in a cluster, for RunTask: 500
	LaunchesPerSecond   int // of the account, On-Demand and Spot each, sustained: 20
	LaunchBurst         int // the same, at once: 20
	LaunchesPerMinute   int // of one service: 500
}

func (q Quotas) withDefaults() Quotas {
	for _, v := range []struct {
		to       *int
		standard int
	}{
		{&q.Clusters, 10_000}, {&q.ServicesPerCluster, 5_000}, {&q.TasksPerService, 5_000},
		{&q.Revisions, 1_000_000}, {&q.TaskDefinitionBytes, 64 << 10}, {&q.Provisioning, 500},
		{&q.LaunchesPerSecond, 20}, {&q.LaunchBurst, 20}, {&q.LaunchesPerMinute, 500},
	} {
		if *v.to == 0 {
			*v.to = v.standard
		}
	}
	return q
}

// roomFor refuses a service too many, or one with too many tasks.
func (e *Engine) roomFor(c *cluster, desired int) error {
	n := len(c.services)
	for _, s := range c.services {
		if n < e.cfg.Quotas.ServicesPerCluster {
			break
		}
		if s.status == serviceInactive {
			n--
		}
	}
	switch q := e.cfg.Quotas; {
	case n >= q.ServicesPerCluster:
		return invalid("The maximum number of services per cluster is %d.", q.ServicesPerCluster)
	case desired > q.TasksPerService:
		return e.tooManyTasks()
	}
	return nil
}

func (e *Engine) tooManyTasks() error {
	return invalid("desiredCount must be at most %d.", e.cfg.Quotas.TasksPerService)
}

// jsonSize is the length of an input's members as JSON.
func jsonSize(in any) int {
	raw, err := json.Marshal(plain(reflect.ValueOf(in)))
	if err != nil { // a number that JSON does not know
		return math.MaxInt
	}
	return len(raw)
}
