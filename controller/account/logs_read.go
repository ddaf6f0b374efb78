package account

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	cwl "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"

	"github.com/canteen/deploy/controller/fault"
)

// logReach is how far one group has been read. What is read comes in the order of time, so that a reading which is too long for one
// look is gone on with by the next, at the place where it was left; where others write much under the same prefix, that is the only way
// to reach what our own tasks wrote. A line that comes late lands behind that place. So each reading that came to its end is followed by
// one that begins before the lines which were yet to come while it went on.
type logReach struct {
	from  time.Time // everything before has been read
	at    time.Time // where the reading that goes on was left; zero: none goes on
	began time.Time // when that one began
	met   time.Time // the newest line that it met, others' too
}

// logQuery asks for streams by their names, or for all with a prefix, of which some are ours.
type logQuery struct {
	names  []string
	prefix string
}

// logAnswer is what a query's pages have shown.
type logAnswer struct {
	events []cwl.FilteredLogEvent
	at     time.Time // of the last line, others' too
	more   bool      // the pages that were given to it were too few
}

// readGroup reads on in a group, and answers the streams' own events with how far it is read now. Naming a stream that does not exist
// yet fails the whole request, so then, and where the streams are not said to exist, they are asked for by their common prefixes.
func (a *Account) readGroup(ctx context.Context, group string, streams []string, since time.Time, reach logReach, exist bool) ([]cwl.FilteredLogEvent, logReach, error) {
	from := newest(since, reach.from, reach.at)
	if reach.at.IsZero() {
		reach.began, reach.met = time.Now(), time.Time{}
	}
	queries := byPrefix(streams)
	if exist {
		queries = byName(streams)
	}
	own, asked := map[string]bool{}, map[string]bool{}
	for _, s := range streams {
		own[s] = true
	}
	var events []cwl.FilteredLogEvent
	var left time.Time // the first place at which a query was left
	var failed error
	for pages := logPagesMax; len(queries) > 0; {
		q, rest := queries[0], queries[1:]
		if queries = rest; asked[q.prefix] { // for other names, but all that are ours were taken of it
			continue
		}
		answer, used, err := a.filterPages(ctx, group, q, from, max(1, pages/(len(rest)+1)))
		if pages -= used; len(q.names) > 0 && fault.Is(err, fault.NotFound) {
			queries = append(byPrefix(q.names), rest...)
			continue
		}
		asked[q.prefix] = q.prefix != ""
		for _, e := range answer.events {
			if own[aws.ToString(e.LogStreamName)] {
				events = append(events, e)
			}
		}
		reach.met = newest(reach.met, answer.at)
		if err != nil { // of this query, and of those after it, nothing is sure
			failed, left = err, from
			break
		}
		if at := newest(from, answer.at); answer.more && (left.IsZero() || at.Before(left)) {
			left = at
		}
	}
	if failed == nil && !left.IsZero() {
		failed = fmt.Errorf("read log group %s: more than %d pages are new; the rest is read next time", group, logPagesMax)
	}
	return events, reach.after(from, left, events), failed
}

// after is the reach once a look has read from one place to another; zero is the end. A line that came late since the reading began
// is newer than the newest one, but for as long as the reading took and as lines may differ in their delay. That newest one is our own as
// long as one look comes to the end: so others' lines never hide that ours are still to come, but where they are too many.
func (r logReach) after(from, left time.Time, own []cwl.FilteredLogEvent) logReach {
	goesOn := !r.at.IsZero()
	if !left.IsZero() {
		if goesOn || left.After(from) {
			r.at = left
		}
		return r
	}
	met := r.met
	if !goesOn {
		met = lastOf(own)
	}
	r.at = time.Time{}
	r.from = newest(r.from, r.behind(met))
	return r
}

// behind is the place after which lines may still come that a reading would have met which has come to that newest line now.
func (r logReach) behind(met time.Time) time.Time {
	return met.Add(-time.Since(r.began) - logOverlap)
}

// likely is the place from which on lines will be read once more, if the reading that goes on does not become slower.
func (r logReach) likely() time.Time {
	if r.at.IsZero() {
		return r.from
	}
	if b := r.behind(r.met); b.Before(r.at) {
		return b
	}
	return r.at
}

func byName(streams []string) (out []logQuery) {
	for chunk := range slices.Chunk(streams, logStreamsMax) {
		out = append(out, logQuery{names: chunk})
	}
	return out
}

func byPrefix(streams []string) (out []logQuery) {
	prefixes := map[string]bool{}
	for _, s := range streams {
		prefixes[s[:strings.LastIndexByte(s, '/')+1]] = true
	}
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		out = append(out, logQuery{prefix: prefix})
	}
	return out
}

// filterPages answers at most so many pages, and how many it asked for.
func (a *Account) filterPages(ctx context.Context, group string, q logQuery, from time.Time, most int) (out logAnswer, used int, err error) {
	in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: &group, LogStreamNames: q.names, StartTime: millis(from)}
	if q.prefix != "" {
		in.LogStreamNamePrefix = &q.prefix
	}
	for used < most {
		page, err := a.aws.Logs.FilterLogEvents(ctx, in)
		used++
		if err != nil {
			return out, used, deed(err, "read log group %s", group)
		}
		out.events = append(out.events, page.Events...)
		out.at = newest(out.at, lastOf(page.Events))
		// A page may be empty and still have a successor.
		if aws.ToString(page.NextToken) == "" {
			return out, used, nil
		}
		in.NextToken = page.NextToken
	}
	out.more = true
	return out, used, nil
}

func lastOf(events []cwl.FilteredLogEvent) (last time.Time) {
	for _, e := range events {
		last = newest(last, time.UnixMilli(aws.ToInt64(e.Timestamp)))
	}
	return last
}

func newest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.After(first) {
			first = t
		}
	}
	return first
}
