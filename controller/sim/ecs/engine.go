package ecs

import (
	"errors"
	"sync"
	"time"
)

// Engine is ECS in one account and region. Its methods may be called from many
// goroutines.
type Engine struct {
	cfg Config

	mu        sync.Mutex // guards everything below; never held while a neighbour is called
	now       time.Time  // of the section that holds mu
	clusters  map[string]*cluster
	deleted   map[string]*cluster // deleted ones, while they are described
	families  map[string]*family
	tokens    map[tokenKey]*tokenUse
	addresses map[string]*task  // by private IP, while it is held
	counts    map[string]uint64 // how many ids of each kind were given
	placement string            // see RefusePlacement
	shut      map[string]bool   // see RefuseZone
	role      roleState
	rates     launchRates
	troubles  []*trouble        // see AddTrouble, in the order in which they came
	zones     map[string]string // subnet → availability zone, as far as the VPC was asked
	schedule  schedule
	timer     *time.Timer
	timerAt   time.Time
	effects   []func()
	draining  bool
	drained   *sync.Cond
	closed    bool
	check     func() // tests: called at the end of each section that changed something
}

// New makes an empty account. It fails if Account or Region is missing.
func New(cfg Config) (*Engine, error) {
	if cfg.Account == "" || cfg.Region == "" {
		return nil, errors.New("ecs engine: Config.Account and Config.Region are required")
	}
	if cfg.Timing == (Timing{}) {
		cfg.Timing = DefaultTiming()
	}
	cfg.Quotas = cfg.Quotas.withDefaults()
	if cfg.Doubts.EarlyExit == 0 {
		cfg.Doubts.EarlyExit = 10 * time.Second
	}
	e := &Engine{
		cfg:       cfg,
		clusters:  map[string]*cluster{},
		deleted:   map[string]*cluster{},
		families:  map[string]*family{},
		tokens:    map[tokenKey]*tokenUse{},
		addresses: map[string]*task{},
		counts:    map[string]uint64{},
		shut:      map[string]bool{},
		zones:     map[string]string{},
	}
	e.drained = sync.NewCond(&e.mu)
	e.role.absent = cfg.NoServiceLinkedRole
	e.rates = newLaunchRates(cfg.Quotas)
	if cfg.LoadBalancers != nil {
		cfg.LoadBalancers.Notify(e.targetChanged)
	}
	return e, nil
}

// Close stops the scheduler and waits for the neighbour call in progress. Tasks'
// processes are the Runner's to end. Reads still answer afterwards.
func (e *Engine) Close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	e.effects = nil
	if e.timer != nil {
		e.timer.Stop()
	}
	for e.draining {
		e.drained.Wait()
	}
}

// lock begins a section: the engine's state may be read and changed, and now
// stands still.
func (e *Engine) lock() {
	e.mu.Lock()
	e.now = time.Now()
}

func (e *Engine) unlock() {
	if e.check != nil {
		e.check()
	}
	if !e.closed {
		e.arm()
		if len(e.effects) > 0 && !e.draining {
			e.draining = true
			go e.drain()
		}
	}
	e.mu.Unlock()
}

// section runs f with the lock held.
func (e *Engine) section(f func()) {
	e.lock()
	defer e.unlock()
	if !e.closed {
		f()
	}
}

// effect queues a call to a neighbour for after this section. Effects run one
// at a time in the order in which they were queued.
func (e *Engine) effect(f func()) {
	if !e.closed {
		e.effects = append(e.effects, f)
	}
}

func (e *Engine) drain() {
	e.mu.Lock()
	for len(e.effects) > 0 {
		f := e.effects[0]
		e.effects = e.effects[1:]
		e.mu.Unlock()
		f()
		e.mu.Lock()
	}
	e.draining = false
	e.drained.Broadcast()
	e.mu.Unlock()
}
