package account_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"

	"github.com/canteen/deploy/controller/observed"
	"github.com/canteen/deploy/controller/sim"
	"github.com/canteen/deploy/controller/sim/script"
	"github.com/canteen/deploy/controller/sim/wire"
)

const pageLines = 2 // of a page, where AWS has 10,000: so ten pages are soon full

// crowd is a deployment whose two tasks write what the test writes for them, so that one without a line has no stream, in a group where
// an old version's tasks write under the same prefix.
type crowd struct {
	*world
	look observed.Look
	own  []string // streams of the deployment's tasks
}

func (w *world) crowd() crowd {
	w.sim.Faults.Add(wire.Fault{Operation: "FilterLogEvents", When: func(c *wire.Call) bool {
		c.Input.(*cloudwatchlogs.FilterLogEventsInput).Limit = aws.Int32(pageLines)
		return false
	}})
	revision := w.mustAct(w.register("v2")).Revision
	id := w.mustAct(roll(revision)).Deployment
	c := crowd{world: w, look: observed.Look{Deployment: id, Logs: &observed.LogLook{Revision: revision, Since: time.Now(), Patterns: []string{"panic"}, Tail: 200}}}
	s := w.until(5*time.Minute, c.look, func(s observed.Service) bool { return len(c.running(s)) == 2 })
	c.own = c.running(s)
	return c
}

// twoContainers is a crowd whose tasks have a second container.
func (w *world) twoContainers() crowd {
	two := taskDefinition("orders-template", "placeholder:1")
	second := two.ContainerDefinitions[0]
	second.Name, second.Image, second.PortMappings = aws.String("Beside"), aws.String(w.sim.ECR.Registry()+"/orders@"+digest("v1")), nil
	two.ContainerDefinitions = append(two.ContainerDefinitions, second)
	must(w.sim.ECS.RegisterTaskDefinition(w.ctx(), two))
	return w.crowd()
}

// beside is the stream of the second container beside that one.
func (crowd) beside(stream string) string { return strings.Replace(stream, container, "Beside", 1) }

func (c crowd) running(s observed.Service) (streams []string) {
	for _, t := range s.Tasks {
		if t.Deployment == c.look.Deployment && t.LastStatus == "RUNNING" {
			streams = append(streams, "app/"+container+"/"+t.ID())
		}
	}
	return streams
}

// others has the old version write so many lines now.
func (c crowd) others(lines int) { c.write("app/"+container+"/old", lines) }

func (c crowd) write(stream string, lines int) {
	for i := range lines {
		c.sim.Logs.Put(group, stream, time.Now().Add(time.Duration(i)*time.Millisecond), "panic: old")
	}
}

// read looks, and holds the look to its pages and one request that is refused for a stream that does not exist.
func (c crowd) read() observed.Service {
	c.Helper()
	asked := c.sim.Calls.Count("logs", "FilterLogEvents")
	s := c.observe(c.look)
	if asked = c.sim.Calls.Count("logs", "FilterLogEvents") - asked; asked > 11 {
		c.Errorf("one look asked for %d pages", asked)
	}
	return s
}

// TestLinesBehindManyAreReached has more written in a minute than one look reads: by the old version for as long as the new one is silent,
// or by the new one itself.
func TestLinesBehindManyAreReached(t *testing.T) {
	for name, own := range map[string]bool{"others": false, "our own": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 21, Book: script.Book{}}, func(w *world) {
				c := w.crowd()
				turn := func() observed.Service {
					for i := range 2 {
						if own {
							w.sim.Logs.Put(group, c.own[i%2], time.Now(), "chatter")
						}
					}
					c.others(2)
					time.Sleep(5 * time.Second)
					return c.read()
				}
				for range 120 {
					turn()
				}
				w.sim.Logs.Put(group, c.own[0], time.Now(), "panic: new")
				for range 24 {
					if m := turn().Logs.Matches["panic"]; len(m) > 0 {
						if len(m) > 1 || m[0].Message != "panic: new" {
							w.Errorf("matches %+v", m)
						}
						return
					}
				}
				w.Error("a line was not found two minutes after it was written")
			})
		})
	}
}

// TestABusyLogIsReadAMinuteLater has the new version itself write several times as much in a minute as one look reads. What is a minute old
// is read by each look all the same, which says so, and a line that comes late is found as soon as it may be.
func TestABusyLogIsReadAMinuteLater(t *testing.T) {
	bubble(t, sim.Config{Seed: 24, Book: script.Book{}}, func(w *world) {
		c := w.crowd()
		wrote := map[string]bool{}
		put := func(stream, line string) {
			w.sim.Logs.Put(group, stream, time.Now(), line)
			wrote[line] = true
		}
		turn := func(n int) observed.Service {
			for i := range 6 { // 36 pages a minute, of ten that a look reads
				put(c.own[i%2], fmt.Sprintf("chatter %d of turn %d", i, n))
				time.Sleep(833 * time.Millisecond)
			}
			return c.read()
		}
		var unread, ahead int
		got := map[string]int{}
		note := func(s observed.Service) {
			for _, line := range s.Logs.Tail {
				got[line.Message] = 1
			}
		}
		for n := range 60 {
			s := turn(n)
			note(s)
			if _, lacks := s.Lacks(observed.FactLogs); lacks && n > 20 {
				unread++
			}
			if n > 20 && s.Logs.Behind != 2*time.Minute {
				ahead++
			}
		}
		if unread > 0 || ahead > 0 {
			w.Errorf("%d of 40 looks did not read what is a minute old, %d do not say that they are behind", unread, ahead)
		}
		w.sim.Logs.SetDelay(58 * time.Second)
		put(c.own[0], "panic: new")
		w.sim.Logs.SetDelay(0)
		for at, n := time.Now(), 60; ; n++ {
			s := turn(n)
			note(s)
			if m := s.Logs.Matches["panic"]; len(m) > 0 {
				break
			} else if since := time.Since(at); since > 75*time.Second {
				w.Fatalf("a line that came 58 seconds late was not found in %s", since)
			}
		}
		for range 12 {
			time.Sleep(5 * time.Second)
			note(c.read())
		}
		if s := c.read(); s.Logs.Behind != 0 {
			w.Errorf("behind by %s where nothing is written any more", s.Logs.Behind)
		}
		for line := range wrote {
			if got[line] == 0 {
				w.Errorf("%q was not read", line)
			}
		}
	})
}

// TestABusyLogOfAClockAheadIsNotBehindByMoreThanItSays: a look that says how far it is behind has every line that was written before that, by tasks whose clock is ahead too.
func TestABusyLogOfAClockAheadIsNotBehindByMoreThanItSays(t *testing.T) {
	for _, ahead := range []time.Duration{0, 10 * time.Second, 50 * time.Second} {
		t.Run(ahead.String(), func(t *testing.T) {
			bubble(t, sim.Config{Seed: 24, Book: script.Book{}}, func(w *world) {
				c := w.crowd()
				put := func(stream, line string) { w.sim.Logs.Put(group, stream, time.Now().Add(ahead), line) }
				turn := func(n int) {
					for i := range 6 {
						put(c.own[i%2], fmt.Sprintf("chatter %d of turn %d", i, n))
						time.Sleep(833 * time.Millisecond)
					}
				}
				for n := range 60 {
					turn(n)
					c.read()
				}
				put(c.own[0], "panic: new")
				wrote := time.Now()
				for n := range 40 {
					turn(n)
					looked := time.Now()
					s := c.read()
					if len(s.Logs.Matches["panic"]) > 0 {
						return
					}
					if until := looked.Add(-s.Logs.Behind); len(s.Missing) == 0 && until.After(wrote) {
						w.Fatalf("read, behind by %s, without the line of %s ago", s.Logs.Behind, looked.Sub(wrote))
					}
				}
				w.Error("never found")
			})
		})
	}
}

// TestEmptyPagesDelayNoLineForLong has the old version write so much that all pages of a look are empty: a page searches only so many lines,
// whoever wrote them.
func TestEmptyPagesDelayNoLineForLong(t *testing.T) {
	bubble(t, sim.Config{Seed: 23, Book: script.Book{}}, func(w *world) {
		c := w.crowd()
		w.sim.Logs.SetSearched(pageLines)
		c.others(25 * pageLines)
		w.sim.Logs.Put(group, c.own[1], time.Now().Add(time.Second), "listening")
		w.sim.Logs.Put(group, c.own[0], time.Now().Add(time.Second), "panic: new")
		for range 4 {
			time.Sleep(5 * time.Second)
			if m := c.read().Logs.Matches["panic"]; len(m) > 0 {
				return
			}
		}
		w.Error("a line was not found twenty seconds after it was written")
	})
}

// TestEachContainerIsRead has more written by either of two containers than one look reads, and by one of them more than by the other.
func TestEachContainerIsRead(t *testing.T) {
	bubble(t, sim.Config{Seed: 22, Book: script.Book{}}, func(w *world) {
		c := w.twoContainers()
		for turn := range 30 {
			if turn == 15 {
				w.sim.Logs.Put(group, c.own[0], time.Now(), "panic: own")
				w.sim.Logs.Put(group, c.beside(c.own[0]), time.Now(), "panic: beside")
			}
			c.others(8)
			c.write(c.beside("app/"+container+"/old"), 1)
			time.Sleep(5 * time.Second)
		}
		var s observed.Service
		for range 60 {
			if s = c.read(); len(s.Logs.Matches["panic"]) == 2 {
				return
			}
			c.others(2)
			time.Sleep(5 * time.Second)
		}
		w.Errorf("not both containers' lines were found: %+v", s.Logs.Matches)
	})
}

// TestEachOwnLineOnce has lines come up to a minute late, among others' that come in gusts: each is read once.
func TestEachOwnLineOnce(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, sim.Config{Seed: seed, Book: script.Book{}}, func(w *world) {
				c, dice := w.crowd(), rand.New(rand.NewPCG(seed, 1))
				var wrote []string
				gust, both := 0, seed%2 == 0
				for second := range 200 {
					if second%30 == 0 {
						gust = dice.IntN(6)
					}
					c.others(dice.IntN(gust + 1))
					if dice.IntN(8) == 0 {
						w.sim.Logs.SetDelay(time.Duration(dice.IntN(2)*58) * time.Second)
						own := c.own[0]
						if both {
							own = c.own[dice.IntN(2)]
						}
						line := fmt.Sprintf("line %d", second)
						w.sim.Logs.Put(group, own, time.Now(), line)
						w.sim.Logs.SetDelay(0)
						wrote = append(wrote, line)
					}
					time.Sleep(time.Second)
					if second%5 == 0 {
						c.read()
					}
				}
				time.Sleep(time.Minute) // the last line is there
				// What is still read of others is gone through twice, the second time for what came while the first went on.
				for whole := 0; whole < 2; time.Sleep(5 * time.Second) {
					if _, lacks := c.read().Lacks(observed.FactLogs); !lacks {
						whole++
					}
				}
				var got []string
				for _, line := range c.read().Logs.Tail {
					got = append(got, line.Message)
				}
				if !slices.Equal(got, wrote) {
					w.Errorf("read %d lines of %d: %v\nwant %v", len(got), len(wrote), got, wrote)
				}
			})
		})
	}
}

// TestManyLinesDelayNoLineForLong has others write most of what looks can read, or a line whose time is ahead, or pages fail: what our own
// tasks write is found soon after all the same.
func TestManyLinesDelayNoLineForLong(t *testing.T) {
	for name, c := range map[string]struct {
		lines  int           // of others, each look; one look reads twenty
		ahead  time.Duration // of one line of theirs
		own    time.Duration // by which one line of our own is ahead
		fails  int           // the page of each look that is throttled, with all after it; 0: none
		within time.Duration
	}{
		"few":             {lines: 4, within: 80 * time.Second},
		"many":            {lines: 11, within: 80 * time.Second},
		"nearly all":      {lines: 15, within: 80 * time.Second},
		"a time ahead":    {lines: 4, ahead: 5 * time.Minute, within: 80 * time.Second},
		"our time ahead":  {own: 5 * time.Minute, within: 70 * time.Second},
		"pages throttled": {lines: 4, fails: 7, within: 3 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, sim.Config{Seed: 21, Book: script.Book{}}, func(w *world) {
				cr, page := w.crowd(), 0
				w.sim.Faults.Add(wire.Fault{Operation: "FilterLogEvents", Refuse: func(call *wire.Call) error {
					if page++; call.Input.(*cloudwatchlogs.FilterLogEventsInput).NextToken == nil {
						page = 1
					}
					if c.fails > 0 && page >= c.fails {
						return wire.Throttled()
					}
					return nil
				}})
				cr.others(100) // too long for one look
				if c.ahead > 0 {
					w.sim.Logs.Put(group, "app/"+container+"/old", time.Now().Add(c.ahead), "panic: old")
				}
				turn := func() []observed.LogLine {
					cr.others(c.lines)
					time.Sleep(5 * time.Second)
					return w.observe(cr.look).Logs.Matches["panic"]
				}
				for range 100 {
					turn()
				}
				if c.own > 0 {
					w.sim.Logs.Put(group, cr.own[0], time.Now().Add(c.own), "ahead")
					turn()
				}
				w.sim.Logs.Put(group, cr.own[0], time.Now(), "panic: new")
				for at := time.Now(); len(turn()) == 0; {
					if since := time.Since(at); since > c.within {
						w.Fatalf("not found in %s", since)
					}
				}
			})
		})
	}
}

// TestAFailedPageSkipsNoOther has a page of the first container's log throttled, long behind which the second container's was not asked for.
func TestAFailedPageSkipsNoOther(t *testing.T) {
	bubble(t, sim.Config{Seed: 22, Book: script.Book{}}, func(w *world) {
		c := w.twoContainers()
		throttled, page := true, 0
		w.sim.Faults.Add(wire.Fault{Operation: "FilterLogEvents", Refuse: func(call *wire.Call) error {
			if page++; call.Input.(*cloudwatchlogs.FilterLogEventsInput).NextToken == nil {
				page = 1
			}
			if throttled && page >= 3 {
				return wire.Throttled()
			}
			return nil
		}})
		w.sim.Logs.Put(group, c.own[0], time.Now(), "panic: own")
		w.sim.Logs.Put(group, c.beside(c.own[0]), time.Now(), "panic: beside")
		for range 50 {
			c.write("app/"+container+"/old", 1)
			c.write(c.beside("app/"+container+"/old"), 1)
			time.Sleep(2 * time.Second)
		}
		time.Sleep(2 * time.Minute)
		for range 40 {
			w.observe(c.look)
			time.Sleep(5 * time.Second)
		}
		throttled = false
		for range 20 {
			if len(c.read().Logs.Matches["panic"]) == 2 {
				return
			}
			time.Sleep(5 * time.Second)
		}
		w.Error("a container's line was skipped")
	})
}
